"""Run the jobs of the queue: claim them, have them classified, note their progress, and write their results."""

import logging
import os
import secrets
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import AvsceneError
from avscene.inference.sources import Source
from avscene.media.limits import Limits, without_advice
from avscene.media.workers import default_workers
from avscene.records import Failure, Prediction
from avscene.server.jobs.record import Job, JobError, JobState
from avscene.server.jobs.table import LEASE, JobTable
from avscene.server.work.lanes import Lane, Lanes
from avscene.server.work.outlines import named, outline_of
from avscene.server.work.systems import LoadedSystems

# Jobs in progress for each worker process: while the last of one is scored, the next is decoded. Short ones have one
# batch each, and only with more of them there is always one to decode and one to score.
JOBS_PER_WORKER, SHORT_JOBS_PER_WORKER = 2, 4
SHORT_SECONDS = 5.0  # that a short job takes of the time of a worker, on average
TURN = 1.0  # seconds between looks at what no one announces: leases, time limits, old jobs
PROGRESS_INTERVAL = 0.25  # seconds between notes of the progress of a job
EXPIRY_INTERVAL = 3600.0  # seconds between removals of old jobs
END_SECONDS = 20.0  # that computing has to end at most
SMOOTHING = 0.1  # share of the last job in a mean

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """A job that was claimed; `reason` is why it was stopped, if it was."""

    job: Job
    path: Path
    lane: Lane
    since: float
    noted: float = 0.0
    reason: JobError | None = None


class JobRunner:
    """Runs jobs of a table until it is stopped; several at a time, in threads and worker processes.

    Args:
        table: the jobs; those that an earlier process left are run again.
        systems: loads the systems.
        limits: limits of a recording.
        max_seconds: time that a job may take.
        workers: number of recordings that are decoded at a time; by default one for each core, at most eight.
        keep: days after which finished jobs are removed.
    """

    def __init__(
        self,
        table: JobTable,
        systems: LoadedSystems,
        *,
        limits: Limits,
        max_seconds: float,
        workers: int | None = None,
        keep: float = 7.0,
    ) -> None:
        self._table, self._workers = table, workers or default_workers()
        self._keep, self._max_seconds = keep, max_seconds
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._wake = threading.Event()
        self._lock = threading.Lock()  # guards all of the following
        self._idle = threading.Condition(self._lock)
        self._running: dict[str, _Running] = {}
        self._lanes = Lanes(systems, limits, self._workers, self)
        self._unwritten: dict[str, Prediction | Failure] = {}  # outcomes that could not be written yet
        self._completions: dict[str, list[Future[None]]] = {}
        self._stopping = False
        self._service_seconds = 1.0 / self._workers  # from the end of one job to that of the next, while jobs run
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to run jobs."""
        self._table.release_all()
        self._thread.start()

    def stop(self, *, finish: bool = True, timeout: float = 60.0) -> None:
        """Begin no further job, and return when none runs.

        Args:
            finish: whether jobs that run are finished first; otherwise they go back to the queue.
            timeout: seconds after which they go back to the queue in any case, and that computing has to end.
        """
        with self._lock:
            self._stopping = True
            waiting = [job_id for job_id in self._completions if job_id not in self._running]
        for job_id in waiting:  # jobs of the queue are not begun any more
            self._complete(job_id)
        with self._idle:
            if finish:
                self._idle.wait_for(lambda: not self._running, timeout)
            left, self._running = self._running, {}
            ends = self._lanes.close()
            self._idle.notify_all()  # another thread may wait for these jobs to finish
        for job_id, running in left.items():
            self._table.release(job_id, self._owner)
            running.lane.cancel(job_id)
            self._complete(job_id)
        for end in ends:  # a program that ends while torch computes would crash
            end.join(min(timeout, END_SECONDS))
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def wake(self) -> None:
        """Look for new jobs at once."""
        self._wake.set()

    def cancel(self, job_id: str) -> None:
        """Stop a job that runs, because it is being removed; what waits for its completion goes on."""
        with self._lock:
            running = self._running.pop(job_id, None)
            self._idle.notify_all()
        if running is not None:
            running.lane.cancel(job_id)
        self._complete(job_id)
        self._wake.set()

    def completion(self, job_id: str) -> Future[None]:
        """Return a future that is done once the job has finished or was removed, or will not begin before the end."""
        future: Future[None] = Future()
        with self._lock:
            self._completions.setdefault(job_id, []).append(future)
            will_not_begin = self._stopping and job_id not in self._running
        job = self._table.get(job_id)
        if job is None or job.state.is_final or will_not_begin:
            self._complete(job_id)
        return future

    @property
    def is_alive(self) -> bool:
        """Whether jobs are run."""
        return self._thread.is_alive() and not self._stopping

    @property
    def n_running(self) -> int:
        """Number of jobs that run."""
        with self._lock:
            return len(self._running)

    def wait_seconds(self) -> float:
        """Return in how many seconds, about, all jobs will be done that wait and run now."""
        counts = self._table.counts()
        n_jobs = counts[JobState.QUEUED] + counts[JobState.RUNNING]
        return n_jobs * self._service_seconds

    # Called by the runs.

    def reached(self, key: str, seconds: float, stated: float | None) -> None:
        """Note the progress of a job, not too often."""
        now = time.monotonic()
        with self._lock:
            running = self._running.get(key)
            if running is None or now - running.noted < PROGRESS_INTERVAL:
                return
            running.noted = now
        try:
            self._table.progress(key, seconds, stated)
        except AvsceneError as error:
            logger.warning("%s", error)

    def finished(self, key: str, outcome: Prediction | Failure) -> None:
        """Write the result of a job, or note why it failed."""
        with self._lock:
            running = self._running.get(key)
            self._unwritten.pop(key, None)
        if running is not None:  # neither removed nor released
            try:
                self._end(running, outcome)
            except AvsceneError as error:  # such as a full disk
                logger.error("%s: is tried again: %s", key, error)
                with self._lock:
                    self._unwritten[key] = outcome
                return
            with self._idle:
                seconds = (time.monotonic() - running.since) / max(1, len(self._running))  # of jobs side by side
                self._service_seconds += SMOOTHING * (seconds - self._service_seconds)
                self._running.pop(key, None)
                self._idle.notify_all()
        self._complete(key)
        self._wake.set()

    def _end(self, running: _Running, outcome: Prediction | Failure) -> None:
        job = running.job
        if isinstance(outcome, Failure):
            message = without_advice(str(outcome.error)).replace(str(running.path), job.request.name)
            error = running.reason or JobError(type=outcome.error.kind, message=message)
            self._table.fail(job.id, self._owner, error)
            return
        prediction = named(outcome, str(running.path), job.request.name)
        try:
            self._table.files.write_result(job.id, prediction)
        except AvsceneError as problem:
            self._table.fail(job.id, self._owner, JobError(type="server", message=f"the result is lost: {problem}"))
            return
        system = running.lane.system
        assert system is not None
        self._table.done(job.id, self._owner, outline_of(prediction, system))

    # In the thread of this runner.

    def _run(self) -> None:
        expired = -EXPIRY_INTERVAL
        beaten = time.monotonic()
        while not self._stopping:
            now = time.monotonic()
            try:
                while self._begin_job():
                    pass
                if now - beaten > LEASE / 3:
                    self._table.heartbeat(self._owner)
                    beaten = now
                self._stop_overdue(now)
                self._write_again()
                if now - expired > EXPIRY_INTERVAL:
                    self._table.expire(self._keep)
                    expired = now
            except AvsceneError as error:
                logger.error("%s", error)  # the next turn tries again
            self._wake.wait(TURN)
            self._wake.clear()

    def _begin_job(self) -> bool:
        """Begin the next job if there is room for it; return whether one was begun."""
        with self._lock:
            is_short = self._service_seconds * self._workers < SHORT_SECONDS
            per_worker = SHORT_JOBS_PER_WORKER if is_short else JOBS_PER_WORKER
            if self._stopping or len(self._running) >= per_worker * self._workers:
                return False
        job = self._table.claim(self._owner, self._accepts)
        if job is None:
            return False
        path = self._table.files.media(job.id)
        if path is None:
            self._table.fail(job.id, self._owner, JobError(type="server", message="the file of this job is missing"))
            self._complete(job.id)
            return True
        with self._lock:
            if self._stopping:
                self._table.release(job.id, self._owner)
                return False
            lane = self._lanes.get(job, {running.lane for running in self._running.values()})
            self._running[job.id] = _Running(job, path, lane, time.monotonic())
        lane.submit(job.id, Source(path))
        if self._table.get(job.id) is None:  # removed meanwhile
            self.cancel(job.id)
        return True

    def _accepts(self, job: Job) -> bool:
        with self._lock:
            return self._lanes.has_room(job, {running.lane for running in self._running.values()})

    def _stop_overdue(self, now: float) -> None:
        """Stop the jobs that took too long; their recordings fail with this reason."""
        with self._lock:
            overdue = [item for item in self._running.items() if now - item[1].since > self._max_seconds]
            for _, running in overdue:
                running.reason = JobError(
                    type="timeout", message=f"{running.job.request.name}: took more than {self._max_seconds:.0f} s"
                )
        for job_id, running in overdue:
            running.lane.cancel(job_id)

    def _write_again(self) -> None:
        with self._lock:
            outcomes = list(self._unwritten.items())
        for key, outcome in outcomes:
            self.finished(key, outcome)

    def _complete(self, job_id: str) -> None:
        with self._lock:
            futures = self._completions.pop(job_id, [])
        for future in futures:
            future.set_result(None)
