"""Follow one job until it ends, as a stream of server-sent events that a client can resume."""

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from avscene.server.jobs import Job
from avscene.server.responses.job import job_body
from avscene.server.services import Services

INTERVAL = 0.2  # seconds between two events at least


async def job_events(services: Services, job: Job, after: int | None) -> AsyncIterator[ServerSentEvent]:
    """Yield an event for each change of a job, at most five a second; the last one is its end, or its removal.

    Args:
        services: Of the server.
        job: As it is now.
        after: The version that the client has; None if it has none.
    """
    shown: tuple[int, int | None] | None = None
    while True:
        body = await run_in_threadpool(job_body, services, job)
        state = (job.version, body.position)
        if state != shown and (after is None or job.version > after):
            shown = state
            yield ServerSentEvent(body.model_dump_json(), event="job", id=str(job.version))
        if job.state.is_final:
            return
        await asyncio.sleep(INTERVAL)
        found = await run_in_threadpool(services.table.get, job.id)
        if found is None:
            yield ServerSentEvent("{}", event="removed")
            return
        job = found
