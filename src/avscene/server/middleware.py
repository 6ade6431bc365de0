"""Wrap the application: checks before it, security headers on every response, bounded and timed bodies, no tracebacks.

These are plain ASGI applications, so that they also cover errors and responses that are streamed.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from avscene.server.errors import ApiError, error_response, response_of
from avscene.server.security import PAGE, Guard
from avscene.server.uploads import DisconnectedError

SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
IDLE_SECONDS = 60.0  # in which a body must make progress
MIN_PROGRESS = 1024  # bytes in that time, or its end
MAX_BODY = 2**20  # bytes of a body that is no media file
LINGER_SECONDS = 2.0  # that the rest of a refused body is read, so that the client reads the response
ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE"
ALLOWED_HEADERS = "Authorization, Content-Type, Last-Event-ID"


class SecurityHeaders:
    """Adds the security headers to each response, unless it has its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class ErrorBoundary:
    """Answers any exception with JSON; a response that has begun is broken off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noting_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except DisconnectedError:
            return  # nobody reads a response
        except Exception as error:  # noqa: BLE001  # no client gets a traceback
            response = response_of(error)
            if not started:
                await response(scope, receive, send)


class Gate:
    """Answers requests that a `Guard` refuses, and pages of allowed sites that ask whether they may send one."""

    def __init__(self, app: ASGIApp, guard: Guard, sign_in_page: Callable[[], bytes]) -> None:
        self._app = app
        self._guard = guard
        self._sign_in_page = sign_in_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may find other requests in them
            message = "the length of the body is ambiguous; send Content-Length or Transfer-Encoding"
            await error_response(400, "usage", message, {"Connection": "close"})(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        shared = self._shared_with(headers.get("origin", ""))
        refusal = self._guard.refusal(method, path, headers)
        if refusal is not None and refusal.status == 401:
            await self._unauthorized(method, path, refusal.message, shared)(scope, receive, send)
        elif refusal is not None:
            await error_response(refusal.status, "forbidden", refusal.message)(scope, receive, send)
        elif self._guard.is_preflight(method, headers):
            allowed = {"Access-Control-Allow-Methods": ALLOWED_METHODS, "Access-Control-Allow-Headers": ALLOWED_HEADERS}
            await Response(status_code=204, headers=shared | allowed)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, shared) if shared else send)

    def _shared_with(self, origin: str) -> dict[str, str]:
        """Return the headers that let pages of an allowed site read the response."""
        if not self._guard.is_allowed_origin(origin):
            return {}
        exposed = "Location, Retry-After, Content-Disposition"
        return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": exposed, "Vary": "Origin"}

    def _unauthorized(self, method: str, path: str, message: str, shared: Mapping[str, str]) -> Response:
        headers = {"WWW-Authenticate": "Bearer", **shared}
        if path == PAGE and method in ("GET", "HEAD"):
            return Response(self._sign_in_page(), 401, headers, "text/html")
        return error_response(401, "unauthorized", message, headers)


class BodyTimer:
    """Bounds a body: it must make progress, and one that is no media file must be small.

    A refused body is read on for a moment: a client that is still sending might otherwise not read the response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, None if _is_media(scope) else MAX_BODY)
        body.check_length(Headers(scope=scope))

        async def send_and_linger(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start" and not body.is_complete:
                MutableHeaders(scope=message)["connection"] = "close"
            if is_last and not body.is_complete:
                await send({**message, "more_body": True})
                await body.discard()
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await self._app(scope, body.receive, send_and_linger)


class _Body:
    """The body of one request."""

    def __init__(self, receive: Receive, limit: int | None) -> None:
        self._receive = receive
        self._limit = limit
        self._size = 0
        self.is_complete = False
        self._counted = 0  # bytes since `_since`
        self._since = asyncio.get_running_loop().time()

    def check_length(self, headers: Headers) -> None:
        """Note whether there is a body at all."""
        self.is_complete = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            ApiError: the body makes no progress, or is too large.
        """
        if self.is_complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self._since + IDLE_SECONDS):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(400, f"the body made no progress for {IDLE_SECONDS:g} s", "timeout") from None
        self._size += len(message.get("body", b""))
        self._counted += len(message.get("body", b""))
        if self._counted >= MIN_PROGRESS:
            self._counted, self._since = 0, loop.time()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self.is_complete = True
        if self._limit is not None and self._size > self._limit:
            raise ApiError(413, f"the body is larger than {self._limit} bytes")
        return message

    async def discard(self) -> None:
        """Read and drop the rest of the body for a moment."""
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                more = True
                while more:
                    message = await self._receive()
                    more = message["type"] == "http.request" and message.get("more_body", False)
        except TimeoutError:
            return


def _is_media(scope: Scope) -> bool:
    """Return whether the body of a request is a media file, whose size its route bounds."""
    method, path = scope["method"], scope["path"]
    return (method, path) == ("POST", "/v1/classify") or (method == "PUT" and path.endswith("/media"))


def _with_headers(send: Send, added: Mapping[str, str]) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in added.items():
                headers[name] = value
        await send(message)

    return send_with_headers
