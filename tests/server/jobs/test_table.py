"""Test the table of jobs with several threads and processes, after crashes, and with files that it cannot open."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from avscene.errors import DataError, StorageError, UsageError
from avscene.server.jobs import JobError, JobState, JobTable
from tests.support.jobs import Clock, media, outline, queued, request
from tests.support.processes import ROOT
from tests.support.small_disk import fill, small_disk  # noqa: F401  # a fixture

# Opens the table, begins the job there is, prints how often it was begun, and waits.
HOLDER = """
import sys
from pathlib import Path
from avscene.server.jobs import JobTable
table = JobTable(Path(sys.argv[1]))
table.release_all()
job = table.claim("first")
print(job and job.attempts, flush=True)
sys.stdin.read()
"""


def holder(directory: Path) -> "subprocess.Popen[str]":
    """Start a process that uses the table, begins a job and prints the number of its attempts."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_each_job_is_begun_once_by_threads_that_claim_together(tmp_path: Path) -> None:
    with JobTable(tmp_path) as table:
        jobs = [queued(table, f"{number}.wav").id for number in range(60)]
        begun: list[str] = []
        start = threading.Barrier(8)

        def work(owner: str) -> None:
            start.wait()
            while job := table.claim(owner):
                begun.append(job.id)
                table.progress(job.id, 1.0)
                assert table.done(job.id, owner, outline("tram"))

        threads = [threading.Thread(target=work, args=(f"owner {number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(begun) == sorted(jobs)
        assert table.counts()[JobState.DONE] == 60


def test_jobs_are_begun_in_the_order_in_which_their_media_was_complete(tmp_path: Path) -> None:
    with JobTable(tmp_path) as table:
        slow = table.add(request("slow.wav"))
        first = queued(table)
        table.enqueue(slow.id, 5)
        assert [table.position(job.id) for job in (first, slow)] == [0, 1]
        for job in (first, slow):
            begun = table.claim("a")
            assert begun is not None
            assert begun.id == job.id
        table.release(slow.id, "a")
        table.release(first.id, "a")
        assert [table.position(job.id) for job in (first, slow)] == [0, 1]


def test_a_job_without_heartbeats_is_given_to_another_owner(tmp_path: Path) -> None:
    clock = Clock()
    with JobTable(tmp_path, clock=clock) as table:
        job = queued(table)
        assert table.claim("first") is not None
        clock.now += 29
        table.heartbeat("first")
        clock.now += 29
        assert table.claim("second") is None
        clock.now += 2
        assert table.claim("first") is None  # it has the job already
        again = table.claim("second")
        assert again is not None
        assert (again.id, again.attempts) == (job.id, 2)
        assert not table.done(job.id, "first", outline("tram"))
        assert table.files.media(job.id) is not None  # of the second owner
        assert table.done(job.id, "second", outline("bus"))


def test_a_killed_process_releases_the_table_and_its_job_runs_three_times(tmp_path: Path) -> None:
    with JobTable(tmp_path) as table:
        job_id = queued(table).id
    for attempt in ("1", "2", "3"):
        process = holder(tmp_path)
        assert line_of(process) == attempt
        with pytest.raises(UsageError, match=r"^[^\n]*is used by another avscene serve[^\n]*$"):
            JobTable(tmp_path)
        kill(process)
    with JobTable(tmp_path) as table:
        assert table.release_all() == 1
        assert table.claim("last") is None
        job = table.get(job_id)
        assert job is not None
        assert job.state is JobState.FAILED
        assert job.error is not None
        assert job.error.type == "server"
        assert "ended 3 times" in job.error.message


def test_a_recording_that_ends_the_server_costs_no_other_job(tmp_path: Path) -> None:
    deadly = ""
    for _ in range(10):  # starts of a server that begins all that it can
        with JobTable(tmp_path) as table:
            if not deadly:
                deadly = [queued(table, f"{number}.wav").id for number in range(5)][2]
            table.release_all()
            while True:
                begun = []
                while job := table.claim("server"):
                    begun.append(job.id)
                if not begun or deadly in begun:
                    break
                for job_id in begun:
                    assert table.done(job_id, "server", outline("tram"))
    with JobTable(tmp_path) as table:
        failed, _ = table.list(state=JobState.FAILED)
        assert [job.id for job in failed] == [deadly]
        assert table.counts()[JobState.DONE] == 4


def test_jobs_of_requests_that_ended_with_the_server_are_removed(tmp_path: Path) -> None:
    with JobTable(tmp_path) as table:
        unlisted, kept = queued(table, listed=False), queued(table)
        assert table.list()[0] == [kept]
    with JobTable(tmp_path) as table:
        assert table.release_all() == 0
        assert table.get(unlisted.id) is None
        assert table.files.ids() == [kept.id]


def test_a_result_without_its_row_is_written_again(tmp_path: Path) -> None:
    with JobTable(tmp_path) as table:
        job = queued(table)
        table.claim("first")
        table.files.result(job.id).write_text("{}")
        (table.files.directory(job.id) / ".result.json.1234.part").write_text("{")  # of a writer that was killed
    with JobTable(tmp_path) as table:
        assert table.release_all() == 1
        again = table.claim("second")
        assert again is not None
        assert again.state is JobState.RUNNING
        assert sorted(path.name for path in table.files.directory(job.id).iterdir()) == ["media.mp4", "result.json"]
        assert table.done(job.id, "second", outline("tram"))


def test_media_that_was_not_complete_when_the_server_ended_is_removed(tmp_path: Path) -> None:
    with JobTable(tmp_path) as table:
        job = table.add(request())
        media(table, job).write_bytes(b"half")
    with JobTable(tmp_path) as table:
        table.release_all()
        assert table.get(job.id) == job
        assert table.files.ids() == []


def test_expired_jobs_forgotten_jobs_and_files_without_a_row_are_removed(tmp_path: Path) -> None:
    clock = Clock()
    with JobTable(tmp_path, clock=clock) as table:
        old, waiting, uploading = queued(table, "old.wav"), table.add(request()), table.add(request("uploading.wav"))
        assert table.claim("a") is not None
        table.fail(old.id, "a", JobError(type="media", message="damaged"))
        clock.now += 2 * 86400
        new = queued(table, "new.wav")
        os.utime(media(table, uploading).parent, (clock.now, clock.now))
        upload = media(table, uploading)
        upload.write_bytes(b"half")
        os.utime(upload, (clock.now, clock.now))
        stray = table.files.new_media("x" * 22, "a.wav")
        stray.write_bytes(b"media")
        assert set(table.expire(1.0)) == {old.id, waiting.id}
        assert sorted(table.files.ids()) == sorted([uploading.id, new.id])
        assert [job.id for job in table.list()[0]] == [new.id, uploading.id]


def test_a_result_that_is_written_after_its_job_was_removed_is_removed_too(tmp_path: Path) -> None:
    with JobTable(tmp_path) as table:
        job = queued(table)
        table.claim("a")
        assert table.remove(job.id)
        table.files.new_media(job.id, "a.wav").with_name("result.json").write_text("{}")
        assert not table.done(job.id, "a", outline("tram"))
        assert table.files.ids() == []


def set_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def other_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()


def overwrite_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[5000:9000] = b"\xaa" * 4000
    path.write_bytes(content)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_version, "is a table of jobs of version 99, not 1, so of another version of avscene"),
        (other_database, "is not a table of jobs of avscene but another database"),
        (overwrite_middle, "the table of jobs is damaged"),
        (lambda path: path.write_text("my diary"), "is not a table of jobs of avscene, or damaged"),
        (make_folder, "is not a table of jobs but a folder"),
    ],
)
def test_a_file_that_is_no_table_of_this_version_is_one_clear_error(
    tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    with JobTable(tmp_path) as table:
        for _ in range(20):
            queued(table)
    change(tmp_path / "jobs.sqlite")
    with pytest.raises(DataError) as caught:
        JobTable(tmp_path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "jobs.sqlite") in str(caught.value)
    (tmp_path / "jobs.sqlite").rename(tmp_path / "aside")
    JobTable(tmp_path).close()  # the directory is not locked after the error


def test_a_directory_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        JobTable(tmp_path / "file" / "server")


def test_a_full_disk_is_one_clear_error_and_changes_nothing(small_disk: Callable[[int], Path]) -> None:  # noqa: F811
    disk = small_disk(400_000)
    with JobTable(disk) as table:
        job = queued(table)
        filler = fill(disk)
        with pytest.raises(StorageError, match="No space left on device"):
            table.add(request("x" * 100_000))
        filler.unlink()
        assert table.get(job.id) == job
        claimed = table.claim("a")
        assert claimed is not None
        assert claimed.id == job.id


def test_a_closed_table_is_one_clear_error(tmp_path: Path) -> None:
    table = JobTable(tmp_path)
    table.close()
    with pytest.raises(StorageError, match="closed"):
        table.get("x")


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1e3", "9" * 30, "1.5", "\u0663"])
def test_a_cursor_that_no_list_returned_is_an_error(tmp_path: Path, cursor: str) -> None:
    with JobTable(tmp_path) as table, pytest.raises(UsageError, match="is not a cursor"):
        table.list(before=cursor)


def test_other_users_of_the_machine_read_neither_names_nor_media(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with JobTable(tmp_path) as table:
        job = table.add(request())
        table.files.new_media(job.id, "a.mp4").write_bytes(b"media")
        private = [*tmp_path.glob("jobs.sqlite*"), table.files.directory(job.id)]
        assert len(private) > 2  # with the log of SQLite
        assert [path.stat().st_mode & 0o077 for path in private] == [0] * len(private)
