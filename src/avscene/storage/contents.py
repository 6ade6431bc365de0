"""Copy the content of a recording that is in memory or in an open file to a temporary file, within a limit."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from avscene.errors import MediaError, UsageError

Data = bytes | BinaryIO
CHUNK = 2**20  # bytes that are read at a time
GIB = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """The bytes of a media file, or an open file from its position on, and its name in messages."""

    name: str
    data: Data


@contextmanager
def temporary_copy(content: Content, limit: int, stopped: Callable[[], bool] = lambda: False) -> Iterator[str]:
    """Yield the path of a temporary file with a content, in the folder of `TMPDIR`, while the block runs.

    Args:
        content: The content; an open file is read to its end and stays open.
        limit: The most bytes that it may have.
        stopped: Once it returns True, copying ends.

    Raises:
        MediaError: the content is larger than the limit, it cannot be read, or there is no room for it.
        UsageError: the file returns something other than bytes.
    """
    path = ""
    try:
        try:
            descriptor, path = tempfile.mkstemp(prefix="avscene-")
            with os.fdopen(descriptor, "wb") as file:
                n_bytes = 0
                for chunk in _chunks(content):
                    n_bytes += len(chunk)
                    if n_bytes > limit:
                        raise _too_large(content.name, limit)
                    if stopped():
                        raise MediaError(f"{content.name}: copying was stopped")
                    file.write(chunk)
        except OSError as error:
            folder = tempfile.gettempdir()
            reason = error.strerror or str(error)
            raise MediaError(f"{content.name}: cannot be copied to {folder} ({reason}); free some space") from error
        yield path
    finally:
        if path:
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108


def _chunks(content: Content) -> Iterator[bytes]:
    if isinstance(content.data, bytes):
        yield content.data
        return
    while True:
        try:
            chunk: object = content.data.read(CHUNK)
        except Exception as error:  # a file object of the caller can raise any exception
            raise MediaError(f"{content.name}: cannot be read ({error})") from error
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise UsageError(f"{content.name}: reading returned a {type(chunk).__name__}, not bytes")
        if not chunk:
            return
        yield bytes(chunk)


def _too_large(name: str, limit: int) -> MediaError:
    return MediaError(
        f"{name}: is larger than the {limit / GIB:.3g} GiB that are read; to allow more: --limit download=NUMBER"
    )
