"""Store jobs in a SQLite table that survives the process, and the files of each job in a directory."""

from avscene.server.jobs.files import JobFiles
from avscene.server.jobs.record import Job, JobError, JobRequest, JobState, JobStateError, Outline, QueueFullError
from avscene.server.jobs.table import JobTable

__all__ = [
    "Job",
    "JobError",
    "JobFiles",
    "JobRequest",
    "JobState",
    "JobStateError",
    "JobTable",
    "Outline",
    "QueueFullError",
]
