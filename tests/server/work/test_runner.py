"""Test the runner of jobs with a real table, real files and `conse`."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import avscene
from avscene.errors import StorageError
from avscene.media.limits import Limits
from avscene.server.jobs.record import Job, JobRequest, JobState
from avscene.server.jobs.table import JobTable
from avscene.server.work.lanes import MAX_LANES
from avscene.server.work.runner import JobRunner
from avscene.server.work.systems import LoadedSystems
from tests.support.media_files import write_media

WAIT = 60.0  # seconds, at most, for what takes a second
LABELS = ("kitchen", "street", "forest")


@pytest.fixture(scope="module")
def systems() -> LoadedSystems:
    return LoadedSystems("conse", offline=True)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runner")
    write_media(directory / "short.mp4", seconds=3)
    write_media(directory / "long.mp4", seconds=900, audio=False, fps=2, gop=2)
    (directory / "broken.mp4").write_text("no recording")
    return directory


@pytest.fixture
def table(tmp_path: Path) -> Iterator[JobTable]:
    with JobTable(tmp_path / "server") as made:
        yield made


@pytest.fixture
def runner(table: JobTable, systems: LoadedSystems) -> Iterator[JobRunner]:
    made = JobRunner(table, systems, limits=Limits(), max_seconds=WAIT, workers=2)
    yield made
    made.stop(finish=False)


def queued(table: JobTable, media: Path, name: str = "", **fields: object) -> str:
    """Add a job with its media, and return its id."""
    job = table.add(JobRequest(name=name or media.name, system="conse", **fields))  # type: ignore[arg-type]
    shutil.copy(media, table.files.new_media(job.id, name or media.name))
    table.enqueue(job.id, media.stat().st_size)
    return job.id


def wait_for(table: JobTable, job_id: str, condition: Callable[[Job], bool]) -> Job:
    end = time.monotonic() + WAIT
    while (job := table.get(job_id)) is not None:
        if condition(job):
            return job
        assert time.monotonic() < end, job
        time.sleep(0.02)
    raise AssertionError("the job is gone")


def ended(job: Job) -> bool:
    return job.state.is_final


def test_a_job_has_the_result_of_the_file_under_the_name_of_the_client(
    table: JobTable, runner: JobRunner, files: Path
) -> None:
    job_id = queued(table, files / "short.mp4", "Été.MP4", labels=LABELS)
    runner.start()
    job = wait_for(table, job_id, ended)
    assert (job.state, job.attempts, job.error) == (JobState.DONE, 1, None)
    expected = avscene.load("conse", labels=LABELS).classify(files / "short.mp4").to_dict()
    found = table.files.read_result(job_id)
    assert found == json.loads(json.dumps({**expected, "source": "Été.MP4"}))
    assert job.outline is not None
    assert (job.outline.scene, job.outline.score) == (found["scene"], pytest.approx(found["score"], abs=1e-4))
    assert job.outline.models == {"conse": "video"}
    assert job.duration == pytest.approx(3.0, abs=0.05)


def test_failures_name_the_file_of_the_client_and_no_path(table: JobTable, runner: JobRunner, files: Path) -> None:
    runner.start()
    broken = queued(table, files / "broken.mp4", "my film.mp4")
    other = queued(table, files / "short.mp4", labels=("кухня", "улица"))
    runner.wake()
    job = wait_for(table, broken, ended)
    assert job.error is not None
    assert (job.state, job.error.type) == (JobState.FAILED, "media")
    assert job.error.message.startswith("my film.mp4: is not a media file")
    job = wait_for(table, other, ended)
    assert job.error is not None
    assert job.error.type == "usage"
    assert "English" in job.error.message


def test_jobs_of_several_systems_run_and_each_ends_once(table: JobTable, runner: JobRunner, files: Path) -> None:
    runner.start()
    label_sets = [LABELS, ("beach", "office"), ("tram", "bus"), ("desert", "lake"), None]
    ids = [queued(table, files / "short.mp4", labels=label_sets[number % 5]) for number in range(15)]
    completions = [runner.completion(job_id) for job_id in ids]
    runner.wake()
    for completion in completions:
        completion.result(WAIT)
    jobs = [table.get(job_id) for job_id in ids]
    assert {job and (job.state, job.attempts) for job in jobs} == {(JobState.DONE, 1)}
    assert table.counts()[JobState.RUNNING] == 0
    assert runner.n_running == 0


def test_jobs_of_more_systems_than_fit_in_memory_wait(table: JobTable, runner: JobRunner, files: Path) -> None:
    runner.start()
    ids = [queued(table, files / "long.mp4", labels=(*LABELS, f"park {number}")) for number in range(MAX_LANES + 2)]
    same = queued(table, files / "short.mp4", labels=(*LABELS, "park 0"))
    runner.wake()
    for job_id in ids[:MAX_LANES]:
        wait_for(table, job_id, lambda job: job.reached > 0)
    assert table.counts()[JobState.RUNNING] == MAX_LANES
    for job_id in ids[:MAX_LANES]:
        table.remove(job_id)
        runner.cancel(job_id)
    assert wait_for(table, ids[MAX_LANES + 1], lambda job: job.reached > 0).attempts == 1
    assert wait_for(table, same, ended).state is JobState.DONE


def test_a_job_that_is_removed_frees_its_place(table: JobTable, runner: JobRunner, files: Path) -> None:
    runner.start()
    long = [queued(table, files / "long.mp4") for _ in range(4)]  # all places
    waiting = runner.completion(long[0])
    runner.wake()
    wait_for(table, long[0], lambda job: job.reached > 0)
    job = table.get(long[0])
    assert job is not None
    assert job.duration == pytest.approx(900)
    after = queued(table, files / "short.mp4")
    for job_id in long:
        assert table.remove(job_id)
        runner.cancel(job_id)
    waiting.result(WAIT)
    assert wait_for(table, after, ended).state is JobState.DONE
    assert list((table.files.directory(after).parent).iterdir()) == [table.files.directory(after)]


def test_a_stop_returns_jobs_to_the_queue_and_another_runner_finishes_them(
    table: JobTable, systems: LoadedSystems, files: Path
) -> None:
    first = JobRunner(table, systems, limits=Limits(), max_seconds=WAIT, workers=1)
    first.start()
    long = queued(table, files / "long.mp4")
    first.wake()
    wait_for(table, long, lambda job: job.reached > 0)
    first.stop(finish=False)
    job = table.get(long)
    assert job is not None
    assert (job.state, job.attempts, job.reached) == (JobState.QUEUED, 0, 0)
    table.remove(long)
    short = queued(table, files / "short.mp4")
    second = JobRunner(table, systems, limits=Limits(), max_seconds=WAIT, workers=1)
    second.start()
    wait_for(table, short, lambda job: second.n_running == 1 or job.state is JobState.DONE)
    second.stop(finish=True, timeout=WAIT)
    job = table.get(short)
    assert job is not None
    assert job.state is JobState.DONE


def test_a_job_that_takes_too_long_fails_with_that_reason(table: JobTable, systems: LoadedSystems, files: Path) -> None:
    runner = JobRunner(table, systems, limits=Limits(), max_seconds=0.5, workers=1)
    runner.start()
    job = wait_for(table, queued(table, files / "long.mp4"), ended)
    runner.stop(finish=False)
    assert job.error is not None
    assert job.error.type == "timeout"
    assert job.error.message == "long.mp4: took more than 0 s"


def test_a_disk_that_is_full_for_a_while_delays_a_job_and_loses_none(
    table: JobTable, runner: JobRunner, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, failures = table.done, []

    def full_at_first(*arguments: object) -> bool:
        if len(failures) < 2:
            failures.append(arguments)
            raise StorageError("no space left on device")
        return done(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(table, "done", full_at_first)
    runner.start()
    job = wait_for(table, queued(table, files / "short.mp4"), ended)
    assert (job.state, len(failures)) == (JobState.DONE, 2)


def test_the_wait_is_the_length_of_the_queue_times_the_service_time(
    table: JobTable, runner: JobRunner, files: Path
) -> None:
    assert runner.wait_seconds() == 0
    for _ in range(4):
        queued(table, files / "short.mp4")
    assert runner.wait_seconds() == pytest.approx(4 * 1.0 / 2)
    assert not runner.is_alive
    runner.start()
    assert runner.is_alive
