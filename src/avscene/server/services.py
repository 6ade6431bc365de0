"""Hold what the routes of the server share: settings, jobs, systems and the runner of jobs."""

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from avscene.progress import Reporter
from avscene.server.archive import Archive
from avscene.server.jobs import Job, JobFiles, JobState, JobTable
from avscene.server.metrics import Metrics
from avscene.server.previews import PreviewReader
from avscene.server.settings import ServerSettings
from avscene.server.work.runner import JobRunner
from avscene.server.work.systems import LoadedSystems

logger = logging.getLogger(__name__)

MAX_RETRY = 600  # seconds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Services:
    """What the routes share.

    `stopping` is set when new jobs are refused because the server ends, and `at_once` if it does not wait for anything.
    """

    settings: ServerSettings
    table: JobTable
    systems: LoadedSystems
    runner: JobRunner
    metrics: Metrics
    archive: Archive | None = None
    previews: PreviewReader = field(default_factory=PreviewReader)
    stopping: threading.Event = field(default_factory=threading.Event)
    at_once: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def open(cls, settings: ServerSettings) -> "Services":
        """Open the table of jobs and the archive, and check the system; nothing is loaded and no job runs yet.

        Raises:
            UsageError: another server uses the directory of jobs, the system cannot be used, or there are no results.
            DataError: the table of jobs is damaged.
            WeightsError: no system has its weights on this machine.
        """
        systems = LoadedSystems(
            settings.system, device=settings.device, precision=settings.precision, offline=settings.offline
        )
        archive = None if settings.results is None else _open_archive(settings.results)
        table = JobTable(settings.directory, settings.max_queue)
        runner = JobRunner(
            table,
            systems,
            limits=settings.limits,
            workers=settings.workers,
            keep=settings.keep,
            max_seconds=settings.max_job_seconds,
        )
        return cls(settings=settings, table=table, systems=systems, runner=runner, metrics=Metrics(), archive=archive)

    def close(self) -> None:
        """End what runs beside the jobs, and close the files."""
        self.previews.close()
        if self.archive is not None:
            self.archive.close()
        self.table.close()

    @property
    def files(self) -> JobFiles:
        """The files of the jobs."""
        return self.table.files

    def remove(self, id: str) -> bool:  # noqa: A002
        """Remove a job and stop it if it runs; return whether there was one."""
        with suppress(KeyError):  # no id of a job
            self.previews.cancel(self.files.directory(id))
        found = self.table.remove(id)
        if found:
            self.runner.cancel(id)
        return found

    def retry_after(self) -> int:
        """Return the seconds after which a client may try again: about the time that the queue takes."""
        return max(1, min(MAX_RETRY, round(self.runner.wait_seconds())))

    def seconds_left(self, job: Job, now: float, position: int | None) -> float | None:
        """Return the estimated time until a job is done, None if it is unknown.

        Args:
            job: One that is not done yet.
            now: Seconds since 1970.
            position: Jobs before it in the queue.
        """
        if job.state is JobState.QUEUED and position is not None:
            n_running = self.runner.n_running
            n_jobs = n_running + self.table.counts()[JobState.QUEUED]
            return self.runner.wait_seconds() * (n_running + position + 1) / max(1, n_jobs)
        if job.state is not JobState.RUNNING or not job.duration or not job.reached or job.started is None:
            return None
        return max(0.0, (job.duration - job.reached) / job.reached * (now - job.started))


def _open_archive(results: Path) -> Archive:
    quiet = not logger.isEnabledFor(logging.INFO)
    with Reporter(logger.info, unit="bytes", quiet=quiet) as progress:
        return Archive(results, progress)
