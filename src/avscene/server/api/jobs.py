"""Define the routes of jobs: add one, send its media, list, follow and remove them."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool

from avscene.server.api.events import job_events
from avscene.server.api.requests import Shared, add_job, find_job, no_job
from avscene.server.jobs import Job, JobState, JobStateError
from avscene.server.responses.documentation import documented
from avscene.server.responses.job import job_body
from avscene.server.responses.schemas import JobBody, JobList, NewJob, State
from avscene.server.services import Services
from avscene.server.uploads import body_of, check_length, check_media_type, store

router = APIRouter(tags=["jobs"])

MAX_PAGE = 200  # jobs
SEND_SECONDS = 30.0  # in which a client must read an event
_MEDIA: dict[str, Any] = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `job` with a job as data and its version as id; the last one is the end of the job, or "
        "the event `removed`.",
        "content": {"text/event-stream": {}},
    },
    204: {"description": "The job has ended, and the client has its last version."},
}


@router.post("/v1/jobs", status_code=201, responses=documented(400, 413, 429))
def create(wanted: NewJob, response: Response, services: Shared) -> JobBody:
    """Add a job, which waits for its media."""
    job = add_job(services, wanted, listed=True)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job_body(services, job)


@router.put(
    "/v1/jobs/{id}/media",
    status_code=202,
    responses=documented(400, 404, 409, 411, 413, 415),
    openapi_extra={"requestBody": _MEDIA},
)
async def put_media(id: str, request: Request, services: Shared) -> JobBody:  # noqa: A002  # in the address
    """Send the media of a job, a media file; the job is then in the queue."""
    job = await find_job(services, id)
    if job.state is not JobState.WAITING:
        raise JobStateError(f"{job.request.name}: this job has its media already and is {job.state}")
    limit = services.settings.max_upload
    check_media_type(request)
    check_length(request, limit)
    path = await run_in_threadpool(services.files.new_media, id, job.request.name)
    size = await store(body_of(request, limit), path, limit)
    services.metrics.uploaded.inc(size)
    return await run_in_threadpool(_enqueue, services, job, size)


@router.get("/v1/jobs", responses=documented(400))
def list_jobs(  # the filters of a list
    services: Shared,
    search: Annotated[str, Query(max_length=200, description="Part of the file name or of a scene.")] = "",
    scene: Annotated[str | None, Query(max_length=100, description="A scene of the result.")] = None,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    before: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
) -> JobList:
    """List jobs, the newest first."""
    wanted = None if state is None else JobState(state)
    found, cursor = services.table.list(search=search, scene=scene, state=wanted, limit=limit, before=before)
    return JobList(jobs=[job_body(services, job) for job in found], next=cursor)


@router.get("/v1/jobs/{id}", responses=documented(400, 404))
def get(id: str, services: Shared) -> JobBody:  # noqa: A002
    """Return a job."""
    job = services.table.get(id)
    if job is None:
        raise no_job()
    return job_body(services, job)


@router.delete("/v1/jobs/{id}", status_code=204, responses=documented(400, 404))
def delete(id: str, services: Shared) -> None:  # noqa: A002
    """Cancel a job, and remove it with its files."""
    if not services.remove(id):
        raise no_job()


@router.get("/v1/jobs/{id}/events", response_class=EventSourceResponse, responses={**_EVENTS, **documented(400, 404)})
async def events(
    id: str,  # noqa: A002
    services: Shared,
    last_event_id: Annotated[int | None, Header(ge=0, description="Version of the job that the client has.")] = None,
) -> Response:
    """Follow a job until it ends, as server-sent events."""
    job = await find_job(services, id)
    if last_event_id is not None and job.state.is_final and job.version <= last_event_id:
        return Response(status_code=204)  # a browser then stops asking
    return EventSourceResponse(job_events(services, job, last_event_id), send_timeout=SEND_SECONDS)


def _enqueue(services: Services, job: Job, size: int) -> JobBody:
    try:
        queued = services.table.enqueue(job.id, size)
    except KeyError:
        services.files.remove(job.id)  # the job was removed while its media arrived
        raise no_job() from None
    services.runner.wake()
    return job_body(services, queued)
