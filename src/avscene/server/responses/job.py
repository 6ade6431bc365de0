"""Turn jobs into the values that the API shows."""

import time
from datetime import UTC, datetime

from avscene.server.jobs import Job
from avscene.server.responses.schemas import ErrorFields, JobBody
from avscene.server.services import Services


def job_body(services: Services, job: Job) -> JobBody:
    """Return a job as the API shows it, with its position in the queue and an estimate of the time left."""
    request, outline = job.request, job.outline
    position = services.table.position(job.id)
    seconds_left = services.seconds_left(job, time.time(), position)
    return JobBody(
        id=job.id,
        name=request.name,
        state=job.state.value,
        created=_timestamp(job.created),
        started=None if job.started is None else _timestamp(job.started),
        finished=None if job.finished is None else _timestamp(job.finished),
        size=job.size,
        system=request.system,
        labels=None if request.labels is None else list(request.labels),
        hop=request.hop,
        frames="keyframes" if request.keyframes else "exact",
        position=position,
        reached=round(job.reached, 3),
        duration=None if job.duration is None else round(job.duration, 3),
        seconds_left=None if seconds_left is None else round(seconds_left, 1),
        attempts=job.attempts,
        version=job.version,
        scene=None if outline is None else outline.scene,
        scenes=[] if outline is None else list(outline.scenes),
        score=None if outline is None else outline.score,
        unsure=None if outline is None else outline.unsure,
        mismatch=None if outline is None else outline.mismatch,
        modalities=None if outline is None else dict(outline.modalities),
        models=None if outline is None else dict(outline.models),
        error=None if job.error is None else ErrorFields(type=job.error.type, message=job.error.message),
    )


def _timestamp(seconds: float) -> str:
    """Return a time in seconds since 1970 in the format of ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
