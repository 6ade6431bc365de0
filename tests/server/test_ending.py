"""Test how the server ends: jobs in flight finish, new ones are refused, a second signal ends at once."""

import signal
import threading
import time
from pathlib import Path

import httpx

from avscene.server.jobs import JobRequest, JobState, JobTable
from avscene.server.settings import ServerSettings
from avscene.server.work.runner import SHORT_JOBS_PER_WORKER
from tests.support.live_server import Live, live_server, wait_until
from tests.support.media_files import write_media

LONG_ENOUGH = 40  # seconds of the recording
N_JOBS = SHORT_JOBS_PER_WORKER + 6  # more than are begun at a time, and than are done before the signal


def settings(directory: Path) -> ServerSettings:
    return ServerSettings(directory=directory, system="conse", workers=1, device="cpu")


def begin(live: Live, media: Path, n_jobs: int) -> list[str]:
    """Add jobs, and wait until one runs; return their ids."""
    ids = []
    for _ in range(n_jobs):
        job = live.client.post("/v1/jobs", json={"name": media.name, "hop": 0.1}).json()
        live.client.put(f"/v1/jobs/{job['id']}/media", content=media.read_bytes())
        ids.append(job["id"])
    wait_until(lambda: live.services.runner.n_running > 0)
    return ids


def test_jobs_in_flight_finish_and_no_other_is_begun(tmp_path: Path) -> None:
    media = write_media(tmp_path / "media.mp4", seconds=LONG_ENOUGH, audio=False, fps=2, gop=2)
    waiting: list[httpx.Response] = []

    def classify() -> None:
        waiting.append(httpx.post(f"{live.url}/v1/classify", content=media.read_bytes(), timeout=60))

    with live_server(settings(tmp_path / "server")) as live:
        ids = begin(live, media, N_JOBS)
        client = threading.Thread(target=classify)
        client.start()
        wait_until(lambda: sum(live.services.table.counts().values()) == N_JOBS + 1)
        wait_until(lambda: live.services.table.counts()[JobState.WAITING] == 0)
        begun = [job for job in map(live.services.table.get, ids) if job and job.state is not JobState.QUEUED]
        assert len(begun) < N_JOBS
        live.server.handle_exit(signal.SIGTERM, None)
        client.join()
        assert (waiting[0].status_code, waiting[0].json()["error"]["type"]) == (503, "server")
        for refused in (
            live.client.post("/v1/jobs", json={"name": "a.mp4"}),
            live.client.post("/v1/classify", content=media.read_bytes()),
        ):
            assert (refused.status_code, refused.json()["error"]["type"]) == (503, "server")
            assert int(refused.headers["retry-after"]) > 0
        assert live.client.get("/v1/jobs").status_code == 200  # until the last job is done
        live.thread.join(60)
        assert not live.thread.is_alive()
        assert not live.server.was_forced
    with JobTable(tmp_path / "server") as table:
        counts = table.counts()
        assert (counts[JobState.RUNNING], sum(counts.values())) == (0, N_JOBS)  # that of the request is gone
        assert counts[JobState.DONE] >= len(begun) > 0
        assert {job.state for job in map(table.get, (job.id for job in begun)) if job} == {JobState.DONE}


def test_a_second_signal_returns_jobs_to_the_queue(tmp_path: Path, long_clip: Path) -> None:
    with live_server(settings(tmp_path / "server")) as live:
        (first,) = begin(live, long_clip, 1)
        lanes = list(live.services.runner._lanes._lanes.values())
        live.server.handle_exit(signal.SIGTERM, None)
        wait_until(live.services.stopping.is_set)
        time.sleep(0.2)
        assert live.thread.is_alive()
        begun = time.monotonic()
        live.server.handle_exit(signal.SIGTERM, None)
        live.thread.join(30)
        assert not live.thread.is_alive()
        assert time.monotonic() - begun < 5
        assert live.server.was_forced
        for lane in lanes:  # the command ends the process here; this one goes on
            lane.close().join(60)
    with JobTable(tmp_path / "server") as table:
        job = table.get(first)
        assert job is not None
        assert (job.state, job.attempts) == (JobState.QUEUED, 0)


def test_the_next_server_goes_on(tmp_path: Path, clip: Path) -> None:
    with JobTable(tmp_path / "server") as table:
        listed, other = (
            table.add(JobRequest(name="a.mp4", system="conse", listed=listed)).id for listed in (True, False)
        )
        for id in (listed, other):  # noqa: A001
            table.files.new_media(id, "a.mp4").write_bytes(clip.read_bytes())
            table.enqueue(id, clip.stat().st_size)
        assert table.claim("a server that was killed")
    with live_server(settings(tmp_path / "server")) as live:
        wait_until(lambda: live.client.get(f"/v1/jobs/{listed}").json()["state"] == "done")
        assert live.client.get(f"/v1/jobs/{listed}").json()["attempts"] == 2
        assert live.client.get(f"/v1/jobs/{other}").status_code == 404  # nobody waits for it any more
