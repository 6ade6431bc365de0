"""Test the command `serve`: what it prints, how it ends, and what it refuses."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from avscene.server.jobs import JobState, JobTable
from tests.support.command_line import Command, Run, run
from tests.support.processes import wait_until
from tests.support.server import serve

TOKEN = "a-token-in-the-environment"


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def run_here(*arguments: object) -> Run:
        return run(capfd, *arguments)

    return run_here


def test_a_port_in_use_is_an_error(command: Command, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = command("serve", "--port", port, "--system", "conse", "--directory", tmp_path / "jobs").error(2)
    assert message == f"--port {port}: is in use at 127.0.0.1; try: avscene serve --port {port + 1}"
    assert not (tmp_path / "jobs").exists()


def test_an_address_of_another_machine_is_an_error(command: Command) -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        message = command("serve", "--host", host, "--token", TOKEN).error(2)
        assert message == f"--host {host}: is not an address of this machine; try: avscene serve --host 127.0.0.1"


def test_the_packages_are_an_extra(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> object:
        return None if name == "sse_starlette" else found(name, package)

    monkeypatch.setattr("avscene.server.serve.find_spec", find_spec)
    message = command("serve").error(4)
    assert message == "serve: sse-starlette is not installed; try: pip install 'avscene[server]'"


def test_a_directory_serves_once(command: Command, tmp_path: Path) -> None:
    with JobTable(tmp_path):
        message = command("serve", "--port", 0, "--system", "conse", "--directory", tmp_path).error(2)
    assert message.startswith(f"{tmp_path}: is used by another avscene serve; ")


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("500M", 500 * 2**20), ("1.5g", 1536 * 2**20), ("2K", 2048)]
)
def test_sizes(command: Command, monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    seen = []
    monkeypatch.setattr("avscene.server.serve.serve", lambda settings, _: seen.append(settings) or True)
    assert command("serve", "--max-upload", text, "--max-duration", 0.5, "--keep", 1).code == 0
    assert (seen[0].max_upload, seen[0].max_duration, seen[0].keep) == (size, 1800, 1)


@pytest.mark.parametrize("text", ["", "M", "-1", "1T", "nan", "inf", "0", "1e400"])
def test_wrong_sizes(command: Command, text: str) -> None:
    assert command("serve", "--max-upload", text).error(2).startswith("--max-upload")


def test_it_serves_until_a_signal(tmp_path: Path, clip_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSCENE_TOKEN", TOKEN)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serve(tmp_path, "--system", "conse", "--offline") as serving:
        assert httpx.get(f"{serving.url}/v1/systems").status_code == 401
        answer = httpx.post(f"{serving.url}/v1/classify", content=clip_bytes, headers=headers, timeout=60)
        assert (answer.status_code, answer.json()["system"]) == (200, "conse")
        command_line = Path(f"/proc/{serving.process.pid}/cmdline")
        if command_line.exists():
            assert TOKEN.encode() not in command_line.read_bytes()
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(30) == 0
    assert serving.log.read_text() == f"avscene: listening on {serving.url}\n"


@pytest.mark.slow
def test_a_second_signal_ends_at_once(tmp_path: Path, long_bytes: bytes) -> None:
    with serve(tmp_path, "--system", "conse", "--offline") as serving:
        job = httpx.post(f"{serving.url}/v1/jobs", json={"name": "long.mp4"}).json()
        address = f"{serving.url}/v1/jobs/{job['id']}"
        httpx.put(f"{address}/media", content=long_bytes)
        wait_until(lambda: httpx.get(address).json()["reached"] > 0, serving.process)
        serving.process.send_signal(signal.SIGHUP)  # the terminal was closed
        wait_until(lambda: "1 jobs in progress" in serving.log.read_text(), serving.process)
        serving.process.send_signal(signal.SIGINT)
        assert serving.process.wait(15) == 130
    assert "stopping at once: jobs in progress return to the queue" in serving.log.read_text()
    with JobTable(serving.directory) as table:
        found = table.get(job["id"])
        assert found is not None
        assert (found.state, found.attempts) == (JobState.QUEUED, 0)


def test_the_help_imports_no_server() -> None:
    code = (
        "import sys; from avscene.cli.main import main; sys.argv = ['avscene', 'serve', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert not {'fastapi', 'torch', 'uvicorn'} & set(sys.modules), sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "AVSCENE_TOKEN" in done.stdout


@pytest.fixture(scope="module")
def clip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tests.support.media_files import write_media

    return write_media(tmp_path_factory.mktemp("serve") / "clip.mp4", seconds=2).read_bytes()


@pytest.fixture(scope="module")
def long_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tests.support.media_files import write_media

    path = tmp_path_factory.mktemp("serve") / "long.mp4"
    return write_media(path, seconds=900, audio=False, fps=2, gop=2).read_bytes()
