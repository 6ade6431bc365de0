"""Send a media file to a player: whole or a range of it, never as a page of this site."""

import re
from pathlib import Path, PurePath
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import FileResponse, Response

from avscene.server.errors import ApiError

# By suffix; all other files are sent as bytes without a type.
MEDIA_TYPES = {
    **dict.fromkeys(("mp4", "m4v"), "video/mp4"),
    **dict.fromkeys(("mpg", "mpeg", "m2v", "vob"), "video/mpeg"),
    **dict.fromkeys(("ts", "mts", "m2ts"), "video/mp2t"),
    **dict.fromkeys(("3gp", "3g2"), "video/3gpp"),
    **dict.fromkeys(("jpg", "jpeg"), "image/jpeg"),
    **dict.fromkeys(("tif", "tiff"), "image/tiff"),
    **dict.fromkeys(("oga", "ogg", "opus"), "audio/ogg"),
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "ogv": "video/ogg",
    "avi": "video/x-msvideo",
    "mka": "audio/x-matroska",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "png": "image/png",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "webp": "image/webp",
    "avif": "image/avif",
    "heic": "image/heic",
}
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)
# Media opened on its own is not part of this site: no script, no other address.
_POLICY = "sandbox; default-src 'none'"


def media_response(request: Request, path: Path, name: str) -> Response:
    """Return the response with a media file, or the range of it that the request names.

    Several ranges, and those that are malformed, are answered with the whole file (RFC 9110, 14.2).

    Args:
        request: Its header `Range` is read.
        path: Of the file.
        name: File name for the client, whose suffix decides the media type.

    Raises:
        ApiError: the file is missing, or has no such range.
    """
    try:
        state = path.stat()
    except OSError:
        raise ApiError(404, "there is no such media") from None
    _check_range(request, state.st_size)
    headers = {
        "Content-Security-Policy": _POLICY,
        "Content-Disposition": disposition("inline", name),
        "Cache-Control": "private, no-cache",
    }
    suffix = PurePath(name).suffix.lower().lstrip(".")
    kind = MEDIA_TYPES.get(suffix, "application/octet-stream")
    response = FileResponse(path, headers=headers, media_type=kind, stat_result=state)
    if response.headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers | {"ETag": response.headers["etag"]})
    return response


def disposition(kind: str, name: str) -> str:
    """Return the header `Content-Disposition` of RFC 6266 for a file name, of which only the last part is used."""
    base = re.split(r"[/\\]", name)[-1] or "file"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", base)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(base, safe='')}"


def _check_range(request: Request, size: int) -> None:
    """Drop a header `Range` that is to be ignored.

    Raises:
        ApiError: the range begins after the end.
    """
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    first, last = found.groups() if found else ("", "")
    if (not first and not last) or (first and last and int(first) > int(last)):
        request.scope["headers"] = [item for item in request.scope["headers"] if item[0] != b"range"]
    elif (first and int(first) >= size) or (not first and int(last) == 0):
        message = f"the file has {size} bytes, and the range begins after them"
        raise ApiError(416, message, headers={"Content-Range": f"bytes */{size}"})
