"""Test the server on a disk that is full for a while, and killed again and again: each job is done once."""

import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.media_files import write_media
from tests.support.server import serve
from tests.support.server_client import ServerClient
from tests.support.small_disk import fill, small_disk  # noqa: F401  # a fixture

pytestmark = pytest.mark.slow


def test_a_full_disk_refuses_uploads_and_delays_jobs(
    small_disk: Callable[[int], Path],  # noqa: F811
    tmp_path: Path,
) -> None:
    clip = write_media(tmp_path / "clip.mp4", seconds=2, fps=5).read_bytes()
    disk = small_disk(6 * 2**20)
    with serve(disk / "home", "--system", "conse", "--device", "cpu") as serving:
        client = ServerClient(serving)
        first = client.submit("first.mp4", clip)
        assert client.wait(first)["state"] == "done"
        waiting = client.add("second.mp4")
        second = client.submit("second.mp4", clip)  # is done before or after the disk is full
        filler = fill(disk)
        response = client.put(waiting, clip)
        assert (response.status_code, response.json()["error"]["type"]) == (503, "storage")
        statuses = {client.http.post("/v1/jobs", json={"name": "x" * 250}).status_code for _ in range(200)}
        assert statuses <= {201, 429, 503}
        assert 503 in statuses
        assert client.result(first)["source"] == "first.mp4"
        assert client.http.get("/healthz").status_code == 200
        filler.unlink()
        assert client.put(waiting, clip).status_code == 202
        assert client.wait(waiting)["state"] == "done"
        assert client.wait(second)["state"] == "done"
        assert 500 not in client.statuses()
        assert {file.name for file in client.files()} == {"media.mp4", "result.json"}


@pytest.mark.timeout(1800)
def test_a_server_that_is_killed_ten_times_ends_every_job_once(tmp_path: Path) -> None:
    media = write_media(tmp_path / "film.mp4", seconds=240, audio=False, fps=2, gop=20).read_bytes()
    home = tmp_path / "home"
    options = ("--system", "conse", "--device", "cpu", "--workers", "1")
    jobs: list[str] = []
    finished: dict[str, float] = {}
    for number in range(10):
        with serve(home, *options) as serving:
            client = ServerClient(serving)
            jobs += [client.submit(f"film {number} {half}.mp4", media) for half in "ab"]
            finished = kill_in_the_middle(client, finished)
    with serve(home, *options) as serving:
        client = ServerClient(serving)
        found = [client.wait(job_id) for job_id in jobs]
        last = finished_jobs(client)
        assert {job_id: last[job_id] for job_id in finished} == pytest.approx(finished, abs=0.002)  # none ran again
        results = [client.result(job_id) | {"source": ""} for job_id in jobs]
        assert {job["state"] for job in found} == {"done"}
        assert max(job["attempts"] for job in found) in (2, 3)  # some ran when the server was killed
        assert all(result == results[0] for result in results)
        assert {file.name for file in client.files()} == {"media.mp4", "result.json"}
        assert len(client.files()) == 40


def kill_in_the_middle(client: ServerClient, before: dict[str, float]) -> dict[str, float]:
    """Kill a server in the middle of a job, but while none runs for the third time; return when each job was done.

    Args:
        client: Of the server.
        before: When each job was done that an earlier server finished.
    """
    process = client.serving.process
    while True:
        process.send_signal(signal.SIGSTOP)  # so that nothing changes between the look and the kill
        with closing(sqlite3.connect(client.serving.directory / "jobs.sqlite")) as connection:
            running = connection.execute("SELECT attempts, reached FROM jobs WHERE state = 'running'").fetchall()
            ended = connection.execute("SELECT id, state, finished FROM jobs WHERE finished NOT NULL").fetchall()
        if any(reached > 0 for _, reached in running) and max(running) < (3,):
            break
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert {state for _, state, _ in ended} <= {"done"}
    finished = {job_id: finished for job_id, _, finished in ended}
    assert before.items() <= finished.items()  # none ran again
    return finished


def finished_jobs(client: ServerClient) -> dict[str, float]:
    """Return when each job was done, in seconds since 1970."""
    listed = client.http.get("/v1/jobs", params={"limit": 200}).json()["jobs"]
    assert len(listed) == 20
    return {job["id"]: datetime.fromisoformat(job["finished"]).timestamp() for job in listed}
