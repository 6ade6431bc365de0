"""Copy an object to a temporary file, within a limit of its size, and remove the file afterwards."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from avscene.errors import MediaError, StorageError
from avscene.storage.connections import wait_for
from avscene.storage.objects import ObjectState, ObjectStream
from avscene.storage.retrying import retry
from avscene.storage.urls import name_of, shown

GIB = 2**30
_SUFFIX_LENGTH = 16  # characters of a name's end that the temporary file keeps


@contextmanager
def spooled(
    url: str, limit: int, stopped: Callable[[], bool] = lambda: False, *, version: str = "", option: str = ""
) -> Iterator[str]:
    """Yield the path of a temporary copy of an object, in the folder of `TMPDIR`, while the block runs.

    Args:
        url: The object.
        limit: The most bytes that it may have.
        stopped: Once it returns True, copying ends.
        version: The `ObjectState.version` that the object must have; any if it is empty.
        option: How a user sets the limit, for the message.

    Raises:
        MediaError: the object is larger than the limit; it is not read then.
        StorageError: it cannot be read, has another version, changed while it was read, or there is no room for it.
        PackageError: the package for this scheme is not installed.
        StoppedError: `stopped` returned True.
    """
    descriptor, path = -1, ""
    try:
        try:
            suffix = Path(name_of(url)).suffix[-_SUFFIX_LENGTH:]
            descriptor, path = tempfile.mkstemp(prefix="avscene-", suffix=suffix.encode("ascii", "ignore").decode())
        except OSError as error:
            raise _no_room(url, error.strerror) from error
        with os.fdopen(descriptor, "wb") as file:
            _Copy(url, limit, option, version).write_to(file.fileno(), stopped)
        yield path
    finally:
        if path:
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108


class _Copy:
    """Copies an object to an open file, from where it was broken off if an attempt fails."""

    def __init__(self, url: str, limit: int, option: str, version: str) -> None:
        self._url, self._limit, self._option = url, limit, option
        self._stream = ObjectStream(url, version)
        self._received = 0  # bytes of all attempts
        self._position = 0  # in the file
        self._file = -1

    def write_to(self, file: int, stopped: Callable[[], bool]) -> None:
        self._file = file
        retry(self._url, lambda: self._attempt(stopped), stopped, lambda: self._received)

    def _attempt(self, stopped: Callable[[], bool]) -> None:
        state = self._stream.state
        is_complete = state is not None and state.size is not None and self._position >= state.size
        if is_complete or not self._stream.can_resume:  # complete, but an error came afterwards
            self._position = 0
        os.ftruncate(self._file, self._position)
        wait_for(self._stream.system, self._stream.read(self._position, self._check, self._write), stopped)

    def _check(self, state: ObjectState) -> None:
        if state.size is None:
            return
        if state.size > self._limit:
            raise self._too_large(state.size)
        if state.size - self._position > shutil.disk_usage(tempfile.gettempdir()).free:
            raise _no_room(self._url, "No space left on device")

    def _write(self, chunk: bytes) -> None:
        if self._position + len(chunk) > self._limit:
            raise self._too_large(None)
        try:
            os.pwrite(self._file, chunk, self._position)
        except OSError as error:
            raise _no_room(self._url, error.strerror) from error
        self._position += len(chunk)
        self._received += len(chunk)

    def _too_large(self, size: int | None) -> MediaError:
        stated = "is larger than" if size is None else f"has {size / GIB:.3g} GiB, more than"
        hint = f"; to allow more: {self._option}" if self._option else ""
        return MediaError(f"{shown(self._url)}: {stated} the {self._limit / GIB:.3g} GiB that are read{hint}")


def _no_room(url: str, reason: str | None) -> StorageError:
    folder = tempfile.gettempdir()
    return StorageError(
        f"{shown(url)}: cannot be copied to {folder} ({reason}); free some space or set TMPDIR to another folder"
    )
