"""Document the failures of routes in the OpenAPI document."""

from typing import Any

from avscene.server.errors import TYPES
from avscene.server.responses.schemas import ErrorBody

# Of the responses that any route can give.
EVERYWHERE = (401, 403, 405, 503)
_EXAMPLES = {
    400: "hop 0: must be a positive number",
    401: "a token is needed; send: Authorization: Bearer TOKEN",
    403: "host example.org: is not a name of this server",
    404: "there is no such job",
    405: "this method is not possible here",
    409: "film.mp4: this job has its media already and is done",
    411: "the length of the body is not known; send the header Content-Length",
    413: "the file is larger than 2147483648 bytes",
    415: "a body of type application/json is not a media file",
    416: "the file has 1048576 bytes, and the range begins after them",
    422: "film.mp4: is not a media file",
    429: "256 jobs wait or run, as many as this server accepts; try again later",
    503: "the server is stopping; try again later",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the failures that a route documents, beside those that every route can have."""
    return {status: _documentation(status) for status in sorted({*statuses, *EVERYWHERE})}


def _documentation(status: int) -> dict[str, Any]:
    body = {"error": {"type": TYPES.get(status, "media"), "message": _EXAMPLES[status]}}
    found: dict[str, Any] = {"model": ErrorBody, "description": _EXAMPLES[status].partition(";")[0]}
    found["content"] = {"application/json": {"example": body}}
    return found
