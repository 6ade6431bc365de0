"""Run the examples of docs/server.md against `avscene serve`; test that its tables name every request and option."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.media_files import write_media
from tests.support.processes import ROOT
from tests.support.server import Serving, serve

PAGE = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"
HEALTH_CHECK = re.compile(r"^HEALTHCHECK .*?CMD (\[.*?\])$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serve(tmp_path_factory.mktemp("home"), "--system", "conse") as serving:
        yield serving


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_media(tmp_path / "street.mp4", 3.0, fps=5)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_examples_in_python_run(folder: Path, serving: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"__name__": "__main__"}
    for block in blocks("python"):
        exec(compile(block.replace(ADDRESS, serving.url), "server.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "'kitchen': " in printed
    assert re.search(r"^running 0\.0 ", printed, re.MULTILINE)
    assert re.search(r"^done 3\.0 3\.0 ", printed, re.MULTILINE)
    assert "filename,start,end,scene_label," in printed
    assert httpx.get(f"{serving.url}/v1/jobs").json()["jobs"] == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_examples_in_a_shell_run(folder: Path, serving: Serving) -> None:
    script = "set -eu\n" + "".join(blocks("sh")).replace(ADDRESS, serving.url)
    done = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    assert '"scene"' in done.stdout
    assert "event: job" in done.stdout
    assert (folder / "street.vtt").read_text(encoding="utf-8").startswith("WEBVTT")


def test_the_health_check_of_the_container_passes(serving: Serving) -> None:
    found = HEALTH_CHECK.search((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert found is not None
    program, *arguments = json.loads(found[1])
    code = arguments[-1].replace("8000", serving.url.rpartition(":")[2])
    assert subprocess.run([program, *arguments[:-1], code], check=False).returncode == 0
    assert subprocess.run([program, *arguments[:-1], code.replace("healthz", "nothing")], check=False).returncode == 1


def test_every_request_is_documented(serving: Serving) -> None:
    documented = set(re.findall(r"/[\w./]*\w", PAGE)) | {
        f"/v1/jobs/ID{path}" for path in re.findall(r"`(/\w+[.]?\w*)", PAGE)
    }
    for path in httpx.get(f"{serving.url}/openapi.json").json()["paths"]:
        plain = re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), path).replace(".FORMAT", ".json")
        assert plain in documented or plain.replace("/v1/archive/NUMBER", "/v1/jobs/ID") in documented, path


def test_every_option_is_in_the_table() -> None:
    from avscene.cli.commands.serve import serve as command

    options = {f"--{name.replace('_', '-')}" for name in command.__annotations__ if name != "return"}
    assert options <= set(re.findall(r"`(--[\w-]+)", PAGE))
