"""Define the routes of the web page: its files, from the package."""

import hashlib
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Request
from fastapi.responses import Response

from avscene.server.errors import ApiError

router = APIRouter(include_in_schema=False)

DIRECTORY = Path(__file__).parents[1] / "page"
# By suffix; other files are not served.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".LICENSE": "text/plain; charset=utf-8",
}


@router.api_route("/", methods=["GET", "HEAD"])
def index(request: Request) -> Response:
    """Return the page."""
    return _file_response(request, "index.html")


@router.api_route("/page/{path:path}", methods=["GET", "HEAD"])
def page_file(request: Request, path: str) -> Response:
    """Return a file of the page."""
    return _file_response(request, path)


def sign_in_page() -> bytes:
    """Return the page that asks for the token."""
    return (DIRECTORY / "signin.html").read_bytes()


def _file_response(request: Request, name: str) -> Response:
    parts = PurePosixPath(name).parts
    kind = _TYPES.get(PurePosixPath(name).suffix)
    if kind is None or "\\" in name or "\0" in name or any(part.startswith((".", "/")) for part in parts):
        raise ApiError(404, "there is no such address")
    try:
        content = DIRECTORY.joinpath(*parts).read_bytes()
    except OSError:
        raise ApiError(404, "there is no such address") from None
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}  # a client asks each time whether it is the latest
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=kind)
