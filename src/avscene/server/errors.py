"""Turn failures into responses: JSON with a type and a message, under a status that the API documents."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from avscene.errors import (
    AvsceneError,
    CheckpointError,
    DataError,
    MediaError,
    ModalityError,
    StorageError,
    UsageError,
    WeightsError,
)
from avscene.server.jobs import JobStateError, QueueFullError

logger = logging.getLogger(__name__)

TYPES = {
    400: "usage",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "usage",
    409: "conflict",
    411: "usage",
    413: "too_large",
    415: "unsupported",
    416: "usage",
    429: "busy",
    503: "server",
}
# The first class that fits decides; those of the server's own files come before the class that they inherit from.
_STATUSES: tuple[tuple[type[AvsceneError], int], ...] = (
    (QueueFullError, 429),
    (JobStateError, 409),
    (UsageError, 400),
    (WeightsError, 503),
    (CheckpointError, 503),
    (StorageError, 503),
    (DataError, 503),
    (MediaError, 422),
    (ModalityError, 422),
)
_OF_FRAMEWORK = {404: "there is no such address", 405: "this method is not possible here"}


class ApiError(HTTPException):
    """A failure of a request: a status, one of the types of the API, and a message of one line."""

    def __init__(
        self,
        status: int,
        message: str,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.kind = kind or TYPES[status]


def error_response(status: int, kind: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response for a failure; characters that UTF-8 cannot encode are replaced."""
    text = message.encode("utf-8", "replace").decode()
    return JSONResponse({"error": {"type": kind, "message": text}}, status, dict(headers or {}))


def response_of(error: Exception) -> JSONResponse:
    """Return the response for an exception; one that nobody expected is logged."""
    if isinstance(error, ApiError):
        return error_response(error.status_code, error.kind, error.detail, error.headers)
    if isinstance(error, HTTPException):  # of the framework: no route, or a wrong method
        status = error.status_code
        message = _OF_FRAMEWORK.get(status, str(error.detail))
        return error_response(status, TYPES.get(status, "usage"), message, error.headers)
    if isinstance(error, RequestValidationError):
        return error_response(400, "usage", _validation_message(error))
    if isinstance(error, AvsceneError):
        status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 503)
        return error_response(status, error.kind, str(error))
    logger.error(f"internal error: {type(error).__name__}: {error}", exc_info=error)
    return error_response(500, "server", "internal error; the server's log has the details")


def add_handlers(app: FastAPI) -> None:
    """Let an application answer every failure by `response_of`."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        response = response_of(error)
        if response.status_code == 405:
            response.headers["Allow"] = _allowed_methods(request)
        return response

    for kind in (HTTPException, RequestValidationError, AvsceneError):
        app.add_exception_handler(kind, handle)


def _allowed_methods(request: Request) -> str:
    """Return the methods of all routes of an address; the framework names those of one route only."""
    scope, methods = {**request.scope}, set[str]()
    for route in request.app.state.routes:
        if route.matches(scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return ", ".join(sorted(methods))


def _validation_message(error: RequestValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    return f"{where}: {first['msg']}"
