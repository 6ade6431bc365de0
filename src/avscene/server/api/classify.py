"""Define the route that classifies one recording while the client waits."""

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from avscene.errors import AvsceneError
from avscene.records import SCHEMA
from avscene.server.api.requests import Shared, add_job, check_accepting, new_job_of
from avscene.server.errors import ApiError
from avscene.server.jobs import Job, JobError
from avscene.server.multipart import Form
from avscene.server.responses.documentation import documented
from avscene.server.responses.schemas import FailureBody, FileName, Frames, Hop, NewJob, PredictionBody, SystemName
from avscene.server.services import Services
from avscene.server.uploads import DisconnectedError, body_of, check_length, check_media_type, store

router = APIRouter(tags=["classify"])

FORM_OVERHEAD = 2**20  # bytes of a form beside its file
_OF_RECORDING = ("media", "modality", "storage")  # types of errors that lie in the file
_FIELDS = {
    "name": {"type": "string", "maxLength": 255},
    "system": {"type": "string"},
    "labels": {"type": "string", "description": "Scenes, separated by commas."},
    "hop": {"type": "number"},
    "frames": {"type": "string", "enum": ["exact", "keyframes"]},
    "file": {"type": "string", "format": "binary", "description": "The media file; the last part."},
}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": _FIELDS}},
    },
}
Labels = Annotated[
    str | None, Query(description="Scenes for a zero-shot system, separated by commas.", max_length=20000)
]


@router.post(
    "/v1/classify",
    response_class=Response,
    responses={
        200: {"model": PredictionBody, "description": "The prediction"},
        422: {"model": FailureBody, "description": "The recording cannot be classified"},
        **documented(400, 411, 413, 415, 429),
    },
    openapi_extra={"requestBody": _BODY},
)
async def classify(  # the parameters of the request
    request: Request,
    services: Shared,
    name: Annotated[FileName | None, Query(description="The `source` of the result. [default: upload]")] = None,
    system: Annotated[SystemName | None, Query()] = None,
    labels: Labels = None,
    hop: Annotated[Hop | None, Query(description="Length of a segment in seconds.")] = None,
    frames: Annotated[Frames | None, Query()] = None,
) -> Response:
    """Classify the recording in the body, which is a media file or a form with one."""
    given = {"name": name, "system": system, "labels": labels, "hop": hop, "frames": frames}
    query = {field: str(value) for field, value in given.items() if value is not None}
    limit = services.settings.max_upload
    is_form = check_media_type(request, form=True)
    check_accepting(services)
    check_length(request, limit + FORM_OVERHEAD * is_form)
    parts = body_of(request, limit + FORM_OVERHEAD * is_form)
    file_name = ""
    if is_form:
        form = Form(request.headers["content-type"], parts)
        fields, file_name = await form.fields()
        query, parts = query | fields, form.content()
    job, path = await run_in_threadpool(_begin, services, new_job_of(query, file_name))
    try:
        size = await store(parts, path, limit)
        await _wait(request, await run_in_threadpool(_submit, services, job, size))
        return await run_in_threadpool(_conclude, services, job)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(services.remove, job.id)
        raise


def _begin(services: Services, wanted: NewJob) -> tuple[Job, Path]:
    """Add a job, and return it with the path of its media."""
    job = add_job(services, wanted, listed=False)
    try:
        return job, services.files.new_media(job.id, job.request.name)
    except AvsceneError:
        services.remove(job.id)
        raise


def _submit(services: Services, job: Job, size: int) -> Future[None]:
    """Queue a job whose media is complete; return what is done when the job has ended."""
    services.metrics.uploaded.inc(size)
    try:
        services.table.enqueue(job.id, size)
    except KeyError:  # it was removed, as a job whose media nobody sends is
        raise ApiError(400, f"{job.request.name}: the upload took too long", "timeout") from None
    services.runner.wake()
    return services.runner.completion(job.id)


async def _wait(request: Request, completion: Future[None]) -> None:
    """Wait until a job has ended.

    Raises:
        DisconnectedError: the client went away before that.
    """
    finished = asyncio.wrap_future(completion)
    gone = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait((finished, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
    if not finished.done():
        raise DisconnectedError


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _conclude(services: Services, job: Job) -> Response:
    """Remove a job that has ended, and return its result.

    Raises:
        ApiError: it has none.
    """
    try:
        found = services.table.get(job.id)
        if found is None or not found.state.is_final:
            reason = "was not classified, because the server is stopping; try again later"
            raise ApiError(503, f"{job.request.name}: {reason}")
        if found.error is not None:
            return _failure(found, found.error)
        return Response(services.files.result(job.id).read_bytes(), media_type="application/json")
    finally:
        services.remove(job.id)


def _failure(job: Job, error: JobError) -> JSONResponse:
    fields = {"type": error.type, "message": error.message}
    if error.type in _OF_RECORDING:
        return JSONResponse({"schema": SCHEMA, "source": job.request.name, "error": fields}, 422)
    raise ApiError(400 if error.type == "usage" else 503, error.message, error.type)
