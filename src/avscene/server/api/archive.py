"""Define the routes of an archive: list the results of `classify`, and open one of them with its media."""

import json
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response

from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.server.api.requests import Shared
from avscene.server.api.results import MEDIA, RESULT, Format, result_response
from avscene.server.archive import Archive, ArchiveQuery, ListedRecording, ResultsChangedError
from avscene.server.errors import ApiError
from avscene.server.responses.documentation import documented
from avscene.server.responses.media import media_response
from avscene.server.responses.preview import PREVIEW, THUMBNAILS, preview_response, thumbnails_response
from avscene.server.responses.schemas import ArchiveBody, ArchivedBody, ErrorFields, FailureBody, PredictionBody

router = APIRouter(tags=["archive"])

MAX_PAGE = 200  # recordings
_MAX_NUMBER = 2**53  # that JSON numbers have exactly
Order = Literal["name", "score", "duration", "-name", "-score", "-duration"]
Number = Annotated[int, PathParameter(ge=1, le=_MAX_NUMBER, description="Of the recording, as the list has it.")]
Probability = Annotated[float, Query(ge=0, le=1)]
_ONE: dict[int | str, dict[str, Any]] = {
    200: {"model": PredictionBody | FailureBody, "description": "The prediction, or why there is none"}
}


def _archive(services: Shared) -> Archive:
    if services.archive is None:
        raise ApiError(404, "there is no archive; start the server with --results PATH")
    return services.archive


Browsed = Annotated[Archive, Depends(_archive)]


@router.get("/v1/archive", responses=documented(400, 404))
def list_recordings(  # noqa: PLR0913  # the filters of a list
    archive: Browsed,
    search: Annotated[str, Query(max_length=4096, description="Part of the path or URL.")] = "",
    scene: Annotated[str | None, Query(max_length=200, description="A scene of the result, or `unknown`.")] = None,
    min_score: Probability | None = None,
    max_score: Probability | None = None,
    mismatch: bool | None = None,
    failed: bool | None = None,
    order: Annotated[Order, Query(description="The largest scores and durations first; with a minus last.")] = "name",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0, le=_MAX_NUMBER)] = 0,
) -> ArchiveBody:
    """List recordings of the archive; the counts of scenes are those without the filter of the scene."""
    page = archive.page(
        ArchiveQuery(
            search=search,
            scene=scene,
            min_score=min_score,
            max_score=max_score,
            mismatch=mismatch,
            failed=failed,
            order=order,
            limit=limit,
            offset=offset,
        )
    )
    recordings = [_body(found) for found in page.recordings]
    return ArchiveBody(total=page.total, recordings=recordings, scenes=page.scenes, broken=page.broken)


@router.get("/v1/archive/{number}", response_class=Response, responses={**_ONE, **documented(400, 404, 409)})
def get(number: Number, archive: Browsed) -> Response:
    """Return the result of a recording."""
    return Response(json.dumps(_read(archive, number)), media_type="application/json")


@router.get(
    "/v1/archive/{number}/result.{format}", response_class=Response, responses={**RESULT, **documented(400, 404, 409)}
)
def result(number: Number, format: Format, archive: Browsed) -> Response:  # noqa: A002  # in the address
    """Return the result of a recording, as a file."""
    values = _read(archive, number)
    if "error" in values:
        raise ApiError(404, "this recording has no prediction, as it could not be classified")
    content = json.dumps(values, indent=2) + "\n"
    return result_response(content.encode(), format, _name(values["source"]))


@router.head("/v1/archive/{number}/media", include_in_schema=False)
@router.get("/v1/archive/{number}/media", response_class=FileResponse, responses={**MEDIA, **documented(400, 404, 416)})
def media(
    number: Number,
    request: Request,
    archive: Browsed,
    range_: Annotated[str | None, Header(alias="Range", description="One range of bytes.")] = None,
) -> Response:
    """Return the media of a recording, or a range of it, if it is on the machine of the server."""
    del range_  # documented here, read by the response
    path = _media(archive, number)
    return media_response(request, path, path.name)


@router.get("/v1/archive/{number}/preview", response_class=Response, responses={**PREVIEW, **documented(400, 404)})
def preview(number: Number, services: Shared, archive: Browsed) -> Response:
    """Return the waveform of the media of a recording, and where its thumbnails are in their image."""
    return preview_response(services.previews, *_media_and_directory(archive, number))


@router.get(
    "/v1/archive/{number}/thumbnails.jpg", response_class=Response, responses={**THUMBNAILS, **documented(400, 404)}
)
def thumbnails(number: Number, services: Shared, archive: Browsed) -> Response:
    """Return the thumbnails of the media of a recording, all in one image."""
    return thumbnails_response(services.previews, *_media_and_directory(archive, number))


def _read(archive: Archive, number: int) -> dict[str, Any]:
    try:
        return archive.read(number)
    except KeyError:
        raise _not_found() from None
    except ResultsChangedError as error:
        raise ApiError(409, str(error)) from error


def _media(archive: Archive, number: int) -> Path:
    try:
        path = archive.media(number)
    except KeyError:
        raise _not_found() from None
    if path is None:
        raise ApiError(404, "the media of this recording is not on the machine of the server")
    return path


def _media_and_directory(archive: Archive, number: int) -> tuple[Path, Limits, Path]:
    path = _media(archive, number)
    return path, DEFAULT_LIMITS, archive.preview_directory(path)


def _not_found() -> ApiError:
    return ApiError(404, "there is no such recording in the archive")


def _body(found: ListedRecording) -> ArchivedBody:
    entry = found.entry
    error = None if entry.error is None else ErrorFields(type=entry.error[0], message=entry.error[1])
    return ArchivedBody(
        number=found.number,
        source=_text(entry.source),
        system=entry.system or None,
        duration=entry.duration,
        scene=entry.scene,
        scenes=list(entry.scenes),
        score=entry.score,
        unsure=entry.unsure,
        mismatch=entry.mismatch,
        unfamiliar=entry.unfamiliar,
        error=error,
        has_media=found.has_media,
    )


def _name(source: str) -> str:
    return PurePath(_text(source)).name or "recording"


def _text(source: str) -> str:
    """Return a file name as valid text: bytes that are none are escaped."""
    return source.encode("utf-8", "backslashreplace").decode()
