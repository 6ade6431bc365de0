"""Store the media of a request in a file as it arrives: bounded, and removed if it fails at any point."""

import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from avscene.server.errors import ApiError

_BUFFER = 2**20  # bytes that are written at a time
# Types that clients send by mistake; all others, and none, may be a media file.
_OTHER_TYPES = ("application/json", "application/x-www-form-urlencoded", "text/plain", "text/html", "multipart/")
_RENAMING = threading.Lock()


class DisconnectedError(Exception):
    """The client went away; nobody reads a response."""


def check_media_type(request: Request, *, form: bool = False) -> bool:
    """Return whether a body is a form; it must be a whole media file otherwise.

    Raises:
        ApiError: it is neither, or a form although `form` is false.
    """
    if "content-range" in request.headers:
        raise ApiError(400, "a part of a file is not accepted; send the whole file")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ApiError(415, "a compressed body is not accepted; send the file as it is")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form and kind == "multipart/form-data":
        return True
    if kind.startswith(_OTHER_TYPES):
        raise ApiError(415, f"a body of type {kind} is not a media file; send it as application/octet-stream")
    return False


def check_length(request: Request, limit: int) -> None:
    """Check what a request states about its body before the body is read.

    Raises:
        ApiError: it has no body, or a larger one than `limit` bytes.
    """
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" not in request.headers:
        raise ApiError(411, "the length of the body is not known; send the header Content-Length")
    if length is not None and length.isdigit() and int(length) > limit:
        raise too_large(limit)


def too_large(limit: int) -> ApiError:
    """Make the error for a file that is too large."""
    return ApiError(413, f"the file is larger than {limit} bytes, which this server accepts at most")


async def body_of(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the parts of a body of at most `limit` bytes.

    Raises:
        ApiError: the body is larger.
        DisconnectedError: the client went away before its end.
    """
    more, size = True, 0
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        more = message.get("more_body", False)
        size += len(message.get("body", b""))
        if size > limit:
            raise too_large(limit)
        if message.get("body"):
            yield message["body"]


async def store(parts: AsyncIterator[bytes], path: Path, limit: int) -> int:
    """Write parts to a file that appears under `path` when it is complete, and return its size in bytes.

    Raises:
        ApiError: the file would be empty or larger than `limit`, exists, or cannot be written.
    """
    with _storage_errors(), _unfinished(path) as (file, unfinished):
        size, buffer = 0, bytearray()
        async for part in parts:
            size += len(part)
            if size > limit:
                raise too_large(limit)
            buffer += part
            if len(buffer) >= _BUFFER:
                await run_in_threadpool(file.write, bytes(buffer))
                buffer.clear()
        if not size:
            raise ApiError(400, "the file is empty")
        await run_in_threadpool(_finish, file, bytes(buffer), unfinished, path)
    return size


@contextmanager
def _unfinished(path: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open a hidden file beside `path`; it is removed at the end unless it was renamed."""
    number, name = tempfile.mkstemp(prefix=".upload-", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            yield file, Path(name)
    finally:
        with suppress(OSError):
            Path(name).unlink()


def _finish(file: BinaryIO, rest: bytes, unfinished: Path, path: Path) -> None:
    file.write(rest)
    file.flush()
    os.fsync(file.fileno())
    with _RENAMING:
        if path.exists():
            raise ApiError(409, "another upload of this media was complete first")
        unfinished.replace(path)


@contextmanager
def _storage_errors() -> Iterator[None]:
    """Raise ApiError for a file that cannot be written, as on a full disk, or whose job was removed meanwhile."""
    try:
        yield
    except FileNotFoundError:
        raise ApiError(404, "the job was removed") from None
    except OSError as error:
        raise ApiError(503, f"the file cannot be stored: {error.strerror or error}", "storage") from error
