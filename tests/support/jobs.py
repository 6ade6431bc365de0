"""Requests and outlines for tests of the table of jobs, and a clock that is set by hand."""

from pathlib import Path

from avscene.server.jobs import Job, JobRequest, JobTable, Outline


class Clock:
    """Seconds since 1970 that pass only when a test adds some."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


def request(name: str = "a.mp4", **options: object) -> JobRequest:
    return JobRequest(name=name, system="conse", **options)  # type: ignore[arg-type]


def outline(*scenes: str) -> Outline:
    return Outline(scenes=scenes, scene=scenes[0], score=0.5, unsure=False, mismatch=None, duration=4.0)


def queued(table: JobTable, name: str = "a.mp4", **options: object) -> Job:
    """Add a job with media and queue it."""
    job = table.add(request(name, **options))
    media(table, job).write_bytes(b"media")
    return table.enqueue(job.id, 5)


def media(table: JobTable, job: Job) -> Path:
    return table.files.new_media(job.id, job.request.name)
