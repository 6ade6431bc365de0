"""Send the preview of a media file and the image of its thumbnails, or that they are being computed."""

from pathlib import Path
from typing import Any

from fastapi.responses import FileResponse, JSONResponse, Response

from avscene.errors import WeightsError
from avscene.media.limits import Limits
from avscene.server.errors import ApiError
from avscene.server.previews import SPRITE, CancelledError, Preview, PreviewReader
from avscene.server.responses.schemas import ComputingBody, PreviewBody

COMPUTING: dict[int | str, dict[str, Any]] = {
    202: {"model": ComputingBody, "description": "It is being computed; ask again in a second."}
}
PREVIEW: dict[int | str, dict[str, Any]] = {200: {"model": PreviewBody, "description": "The preview"}, **COMPUTING}
THUMBNAILS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image of the thumbnails, row by row; the preview has their size and times.",
        "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}},
    },
    **COMPUTING,
}
_CACHED = {"Cache-Control": "private, no-cache"}  # a browser keeps it, and asks whether it changed


def preview_response(previews: PreviewReader, path: Path, limits: Limits, directory: Path) -> Response:
    """Return the preview of a media file; 202 while it is computed. Arguments are as of `PreviewReader.preview`.

    Raises:
        ApiError: no process for decoding can be started.
        StorageError: the preview cannot be written.
    """
    found = _request(previews, path, limits, directory)
    return _computing() if found is None else JSONResponse(found.to_dict(), headers=_CACHED)


def thumbnails_response(previews: PreviewReader, path: Path, limits: Limits, directory: Path) -> Response:
    """Return the image of the thumbnails; arguments and errors are as of `preview_response`.

    Raises:
        ApiError: the file has no video, or as of `preview_response`.
    """
    found = _request(previews, path, limits, directory)
    if found is None:
        return _computing()
    image = directory / SPRITE
    if found.thumbnails is None or not image.is_file():
        raise ApiError(404, "there are no thumbnails: the file has no video that can be decoded")
    return FileResponse(image, media_type="image/jpeg", headers=_CACHED)


def _request(previews: PreviewReader, path: Path, limits: Limits, directory: Path) -> Preview | None:
    try:
        return previews.request(path, limits, directory)
    except CancelledError:
        return None
    except WeightsError as error:
        raise ApiError(503, str(error)) from error


def _computing() -> Response:
    return JSONResponse({"state": "computing"}, 202, headers={"Retry-After": "1"})
