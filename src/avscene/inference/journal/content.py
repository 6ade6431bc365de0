"""Identify the content of recordings by the size, modification time or version, and SHA-256 of their files."""

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from avscene.errors import StorageError
from avscene.inference.sources import Source
from avscene.storage.urls import is_remote, shown

Item = TypeVar("Item")
_CHUNK = 2**20  # bytes
_REQUESTS = 32  # to servers at a time


@dataclass(frozen=True, slots=True)
class FileState:
    """The sizes in bytes and the modification times in nanoseconds of the files of a recording, joined by `+`.

    A URL has its version (`ObjectState.version`) in place of a modification time.
    """

    sizes: str
    mtimes: str


def paths_of(source: Source) -> list[str]:
    """Return the files of a recording: the media file and, if the audio is apart, the file with the audio."""
    return [os.fspath(path) for path in (source.path, source.audio) if path is not None]


def key_of(source: Source) -> bytes:
    """Return the absolute paths, or the URLs without secrets, of a recording's files, by which a journal finds it."""
    absolute = (shown(path) if is_remote(path) else os.path.abspath(path) for path in paths_of(source))  # noqa: PTH100
    return b"\0".join(map(os.fsencode, absolute))  # links are kept


def paths_of_key(key: bytes) -> list[str]:
    """Return the paths that `key_of` joined."""
    return [os.fsdecode(path) for path in key.split(b"\0")]


def state_of(paths: Sequence[str]) -> FileState | None:
    """Return the state of files; None if one is missing or is not a regular file, or has no version.

    Raises:
        PackageError: the package for the scheme of a URL is not installed.
    """
    found = [_remote_state(path) if is_remote(path) else _local_state(path) for path in paths]
    states = [each for each in found if each is not None]
    if len(states) < len(paths):
        return None
    return FileState("+".join(size for size, _ in states), "+".join(time for _, time in states))


def states_of(recordings: Sequence[Sequence[str]]) -> list[FileState | None]:
    """Return the state of the files of each recording; servers are asked for several at a time.

    Raises:
        PackageError: the package for the scheme of a URL is not installed.
    """
    if not any(is_remote(path) for paths in recordings for path in paths):
        return [state_of(paths) for paths in recordings]
    with ThreadPoolExecutor(_REQUESTS, thread_name_prefix="states") as pool:
        return list(pool.map(state_of, recordings))


def _local_state(path: str) -> tuple[str, str] | None:
    """Return size and modification time of a file."""
    try:
        found = os.stat(path)  # noqa: PTH116  # any string, also one that is no path
    except (OSError, ValueError):
        return None
    return (str(found.st_size), str(found.st_mtime_ns)) if stat.S_ISREG(found.st_mode) else None


def _remote_state(url: str) -> tuple[str, str] | None:
    """Return size and version of an object."""
    from avscene.storage.objects import object_state

    try:
        found = object_state(url)
    except StorageError:
        return None
    return ("" if found.size is None else str(found.size), found.version) if found.version else None


def sha256_in_state(paths: Sequence[str], state: FileState, stopped: Callable[[], bool] = lambda: False) -> str | None:
    """Return the SHA-256 of files, joined by `+`.

    None if they are not, or no longer, in `state`, if they cannot be read, if one is a URL, or once `stopped` returns
    True.
    """
    if any(map(is_remote, paths)):
        return None
    found = []
    for path in paths:
        digest = hashlib.sha256()
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # any string, also one that is no path
                while chunk := file.read(_CHUNK):
                    if stopped():
                        return None
                    digest.update(chunk)
        except OSError:
            return None
        found.append(digest.hexdigest())
    return "+".join(found) if state_of(paths) == state else None


class BackgroundHashes(Generic[Item]):
    """Compute SHA-256 of files in one thread, so that a run does not wait for them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._running: deque[tuple[Item, Future[str | None]]] = deque()
        self._stopped = threading.Event()

    def start(self, item: Item, paths: Sequence[str], state: FileState) -> None:
        """Begin to hash the files of `item`."""
        self._running.append((item, self._pool.submit(sha256_in_state, paths, state, self._stopped.is_set)))

    def finished(self, *, wait: bool = False) -> Iterator[tuple[Item, str]]:
        """Yield the hashes that are ready and were not returned before; with `wait`, wait for all.

        Files that changed have none.
        """
        while self._running and (wait or self._running[0][1].done()):
            item, future = self._running.popleft()
            sha256 = future.result()
            if sha256 is not None:
                yield item, sha256

    def close(self) -> None:
        """Drop the files that are not hashed yet."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)
