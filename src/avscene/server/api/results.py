"""Define the routes of the files of a job: its media, and its result in several formats."""

import json
from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from fastapi.responses import FileResponse, Response

from avscene.errors import DataError
from avscene.records import Prediction, read_outcome
from avscene.reports.recordings.formats import RECORDING_FORMATS
from avscene.server.api.requests import Shared, no_job
from avscene.server.errors import ApiError
from avscene.server.jobs import Job, JobState
from avscene.server.responses.documentation import documented
from avscene.server.responses.media import disposition, media_response
from avscene.server.responses.schemas import PredictionBody
from avscene.server.services import Services

router = APIRouter(tags=["results"])

Format = Literal["json", "csv", "vtt", "audacity"]
_BYTES = {"schema": {"type": "string", "format": "binary"}}
MEDIA: dict[int | str, dict[str, Any]] = {
    200: {"description": "The media file", "content": {"*/*": _BYTES}},
    206: {"description": "The range of the file that the header `Range` names", "content": {"*/*": _BYTES}},
    304: {"description": "The client has this file already"},
}
RESULT: dict[int | str, dict[str, Any]] = {
    200: {
        "model": PredictionBody,
        "description": "The result",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "text/vtt": {"schema": {"type": "string"}},
            "text/plain": {"schema": {"type": "string"}},
        },
    }
}


@router.head("/v1/jobs/{id}/media", include_in_schema=False)
@router.get("/v1/jobs/{id}/media", response_class=FileResponse, responses={**MEDIA, **documented(400, 404, 416)})
def media(
    id: str,  # noqa: A002  # in the address
    request: Request,
    services: Shared,
    range_: Annotated[str | None, Header(alias="Range", description="One range of bytes.")] = None,
) -> Response:
    """Return the media of a job, or a range of it."""
    del range_  # documented here, read by the response
    job = services.table.get(id)
    path = None if job is None or job.state is JobState.WAITING else services.files.media(id)
    if job is None or path is None:
        raise no_job()
    return media_response(request, path, job.request.name)


@router.get("/v1/jobs/{id}/result.{format}", response_class=Response, responses={**RESULT, **documented(400, 404)})
def result(id: str, format: Format, services: Shared) -> Response:  # noqa: A002
    """Return the result of a job that is done, as a file."""
    job = services.table.get(id)
    if job is None:
        raise no_job()
    if job.state is not JobState.DONE:
        raise ApiError(404, f"{job.request.name}: has no result; the job is {job.state}")
    return result_response(_result_bytes(services, job), format, job.request.name)


def result_response(content: bytes, format: Format, name: str) -> Response:  # noqa: A002
    """Return a result as a file.

    Args:
        content: The JSON of a prediction, schema `avscene/1`.
        format: Of the file.
        name: File name of the recording.

    Raises:
        DataError: the content is not a prediction.
    """
    made = RECORDING_FORMATS[format]
    headers = {"Content-Disposition": disposition("attachment", PurePath(name).stem + made.extension)}
    if format != "json":
        prediction = read_outcome(json.loads(content))
        if not isinstance(prediction, Prediction):
            raise DataError("the result is a failure, which has no segments")
        content = made.to_text(prediction).encode("utf-8", "backslashreplace")  # file names of an archive
    return Response(content, headers=headers, media_type=made.media_type)


def _result_bytes(services: Services, job: Job) -> bytes:
    try:
        return services.files.result(job.id).read_bytes()
    except OSError:
        raise no_job() from None  # it was removed meanwhile
