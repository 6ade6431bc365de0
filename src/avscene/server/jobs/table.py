"""Store jobs in a SQLite table: a queue with leases and attempts, which is listed page by page."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from avscene.server.jobs.database import Database
from avscene.server.jobs.files import JobFiles, lock_directory, new_id
from avscene.server.jobs.listing import list_jobs
from avscene.server.jobs.record import Job, JobError, JobRequest, JobState, JobStateError, Outline, QueueFullError
from avscene.server.jobs.rows import searchable, to_json

LEASE = 30.0  # seconds after which a job without a heartbeat is given to another owner
MAX_ATTEMPTS = 3
UPLOAD_PATIENCE = 3600.0  # seconds after which a job is removed whose media nobody sends
DAY = 86400.0  # seconds
JobIds = list[str]  # inside of the class, `list` is a method
_ACTIVE = "state IN ('waiting', 'queued', 'running')"
_OWN = "id = :id AND state = 'running' AND owner = :owner"
_TOO_OFTEN = JobError(
    type="server",
    message=f"the server ended {MAX_ATTEMPTS} times while it classified this recording, so it is not tried again",
)
_REQUEUE = "state = 'queued', owner = NULL, lease = NULL, started = NULL, reached = 0"


class JobTable:
    """The jobs in `DIRECTORY/jobs.sqlite`, which only one process uses at a time; its threads share the table.

    Each change of a job increments its `version`. `files` are the files of the jobs. Every method raises `StorageError`
    if the table cannot be read or written, as on a full disk.

    Args:
        directory: Of the table and the files; made if need be.
        max_queue: How many jobs may wait or run.
        clock: Returns the time in seconds since 1970.

    Raises:
        DataError: the table is damaged, or of another version.
        UsageError: another process uses the directory, or it cannot be written.
    """

    def __init__(self, directory: Path, max_queue: int = 256, clock: Callable[[], float] = time.time) -> None:
        self.files = JobFiles(directory)
        self._max_queue = max_queue
        self._clock = clock
        with ExitStack() as stack:
            stack.enter_context(lock_directory(directory))
            self._database = Database(directory / "jobs.sqlite")
            stack.callback(self._database.close)
            self._resources = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the table, and let another process use the directory."""
        self._resources.close()

    def add(self, request: JobRequest) -> Job:
        """Add a job that waits for its media, and return it.

        Raises:
            QueueFullError: as many jobs wait or run as the table accepts.
        """
        job_id = new_id()
        values = {
            "id": job_id,
            "request": to_json(request),
            "listed": request.listed,
            "words": searchable([request.name]),
            "created": self._clock(),
        }
        with self._database.transaction():
            if (n_active := self._database.count(_ACTIVE)) >= self._max_queue:
                raise QueueFullError(f"{n_active} jobs wait or run, as many as this server accepts; try again later")
            self._database.execute(
                "INSERT INTO jobs (id, request, listed, words, state, created)"
                " VALUES (:id, :request, :listed, :words, 'waiting', :created)",
                values,
            )
            return self._known(job_id)

    def get(self, job_id: str) -> Job | None:
        """Return a job, None if there is none with this id."""
        return self._database.find("id = :id", {"id": job_id})

    def list(
        self,
        *,
        search: str = "",
        scene: str | None = None,
        state: JobState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> tuple[list[Job], str | None]:
        """Return jobs, the newest first, and the cursor of the next page, None if there is none.

        Args:
            search: Part of the file name or of a predicted scene, without regard to case.
            scene: A predicted scene.
            state: Only jobs in this state.
            limit: Number of jobs.
            before: Cursor that a previous call returned.

        Raises:
            UsageError: `limit` is not positive, or `before` is no cursor.
        """
        return list_jobs(self._database, search, scene, state, limit, before)

    def enqueue(self, job_id: str, size: int) -> Job:
        """Queue a job whose media, of `size` bytes, is complete.

        Raises:
            JobStateError: it has its media already.
            KeyError: there is no such job.
        """
        with self._database.transaction():
            job = self._known(job_id)
            if job.state is not JobState.WAITING:
                raise JobStateError(f"this job has its media already and is {job.state}")
            last = "(SELECT coalesce(max(turn), 0) + 1 FROM jobs)"
            self._database.update(
                "id = :id", f"state = 'queued', size = :size, turn = {last}", {"id": job_id, "size": size}
            )
            return self._known(job_id)

    def claim(self, owner: str, accepts: Callable[[Job], bool] = lambda _: True) -> Job | None:
        """Return the next job of the queue, which now runs for `owner`; None if there is none.

        A job whose owner gave no heartbeat for `LEASE` seconds is in the queue again, for other owners. A job that was
        begun `MAX_ATTEMPTS` times fails. The last attempt is made while no other job of the owner runs, so that a
        recording with which the server ends three times costs no other job.

        Args:
            owner: Who runs the job.
            accepts: Whether the owner can run a job now; if not the next one, it gets none.
        """
        with self._database.transaction():
            now = self._clock()
            values = {"owner": owner, "now": now, "lease": now + LEASE, "last": MAX_ATTEMPTS}
            own = "state = 'running' AND owner = :owner"
            if self._database.count(f"{own} AND attempts >= :last", values):
                return None
            is_idle = not self._database.count(own, values)
            free = "(state = 'queued' OR state = 'running' AND lease < :now AND owner != :owner)"
            while job := self._database.find(f"{free} ORDER BY turn", values):
                if job.attempts >= MAX_ATTEMPTS:
                    self._finish(job, "id = :id", _TOO_OFTEN)
                    continue
                if not accepts(job) or (job.attempts == MAX_ATTEMPTS - 1 and not is_idle):
                    return None
                begin = "state = 'running', owner = :owner, lease = :lease, started = :now, reached = 0"
                self._database.update("id = :id", f"{begin}, attempts = attempts + 1", {**values, "id": job.id})
                return self._known(job.id)
        return None

    def heartbeat(self, owner: str) -> None:
        """Extend the leases of the jobs that run for `owner`; their versions stay."""
        values = {"owner": owner, "lease": self._clock() + LEASE}
        self._database.execute("UPDATE jobs SET lease = :lease WHERE state = 'running' AND owner = :owner", values)

    def progress(self, job_id: str, reached: float, duration: float | None = None) -> None:
        """Note how many seconds of a running job are scored, and how long its recording is, if that is known."""
        values = {"id": job_id, "reached": reached, "duration": duration}
        self._database.update(
            "id = :id AND state = 'running'", "reached = :reached, duration = coalesce(:duration, duration)", values
        )

    def done(self, job_id: str, owner: str, outline: Outline) -> bool:
        """Note that a job is done; its result must have been written.

        Returns:
            False if the job is another owner's, or was removed; then its files are removed too.
        """
        return self._end(job_id, owner, outline)

    def fail(self, job_id: str, owner: str, error: JobError) -> bool:
        """Note that a job failed; returns as `done`."""
        return self._end(job_id, owner, error)

    def release(self, job_id: str, owner: str) -> None:
        """Return a job of `owner` to its place in the queue; the attempt is not counted."""
        self._database.update(_OWN, f"{_REQUEUE}, attempts = attempts - 1", {"id": job_id, "owner": owner})

    def release_all(self) -> int:
        """Return the jobs that a process left when it ended to the queue; call it before the first claim.

        Jobs that are not listed, and those whose media nobody sent in the last hour, are removed, and so are files that
        were not finished.

        Returns:
            The number of jobs that are in the queue again.
        """
        for job_id in self._ids("NOT listed"):
            self.remove(job_id)
        for job_id in self.files.ids():
            self.files.remove_unfinished(job_id)
        self._remove_forgotten()
        for job_id in self._ids("state = 'waiting'"):
            self.files.remove(job_id)
        return self._database.update("state = 'running'", _REQUEUE, {})

    def remove(self, job_id: str) -> bool:
        """Remove a job and then its files, whatever its state; return whether there was one."""
        found = self._database.execute("DELETE FROM jobs WHERE id = :id", {"id": job_id}) > 0
        if found:
            self.files.remove(job_id)
        return found

    def expire(self, keep_days: float) -> JobIds:
        """Remove jobs that finished longer ago than `keep_days`, forgotten ones, and files without a job.

        Forgotten is a job whose media nobody sent in the last hour.

        Returns:
            The ids of the jobs that were removed.
        """
        with_files = self.files.ids()  # before the table is read: a job is added before its files are
        old = self._ids("finished < :before", {"before": self._clock() - keep_days * DAY})
        for job_id in old:
            self.remove(job_id)
        forgotten = self._remove_forgotten()
        for job_id in set(with_files) - set(self._ids("1")):
            self.files.remove(job_id)
        return old + forgotten

    def counts(self) -> dict[JobState, int]:
        """Return the number of jobs in each state, also of those that are not listed."""
        rows = self._database.select("SELECT state, count(*) FROM jobs GROUP BY state")
        return dict.fromkeys(JobState, 0) | {JobState(state): count for state, count in rows}

    def position(self, job_id: str) -> int | None:
        """Return how many jobs are before a job in the queue, None if it is not queued."""
        rows = self._database.select("SELECT turn FROM jobs WHERE id = :id AND state = 'queued'", {"id": job_id})
        return self._database.count("state = 'queued' AND turn < :turn", {"turn": rows[0]["turn"]}) if rows else None

    def _known(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            KeyError: there is none.
        """
        job = self.get(job_id)
        if job is None:
            raise KeyError(job_id)
        return job

    def _ids(self, condition: str, values: dict[str, object] | None = None) -> JobIds:
        return [row["id"] for row in self._database.select(f"SELECT id FROM jobs WHERE {condition}", values)]  # noqa: S608

    def _end(self, job_id: str, owner: str, result: Outline | JobError) -> bool:
        """End a job that runs for `owner`; returns as `done`."""
        with self._database.transaction():
            job = self.get(job_id)
            ended = job is not None and self._finish(job, _OWN, result, owner)
        if job is None:
            self.files.remove(job_id)  # the result was written after the job was removed
        return ended

    def _finish(self, job: Job, condition: str, result: Outline | JobError, owner: str | None = None) -> bool:
        """Write the end of a job if it meets the condition; return whether it does."""
        done = isinstance(result, Outline)
        values: dict[str, object] = {"id": job.id, "owner": owner, "now": self._clock(), "result": to_json(result)}
        values["state"] = str(JobState.DONE if done else JobState.FAILED)
        assignments = (
            f"state = :state, finished = :now, owner = NULL, lease = NULL, {'outline' if done else 'error'} = :result"
        )
        if isinstance(result, Outline):
            values["words"] = searchable([job.request.name, result.scene or "", *result.scenes])
            values["duration"] = result.duration
            assignments += ", words = :words, duration = :duration, reached = :duration"
        return self._database.update(condition, assignments, values) > 0

    def _remove_forgotten(self) -> JobIds:
        """Remove jobs whose media nobody sends, and return their ids."""
        oldest = self._clock() - UPLOAD_PATIENCE
        waiting = self._ids("state = 'waiting' AND created < :oldest", {"oldest": oldest})
        forgotten = [job_id for job_id in waiting if self.files.last_change(job_id) < oldest]
        for job_id in forgotten:
            self.remove(job_id)
        return forgotten
