"""Identify the content of recordings by the size, modification time and SHA-256 of their files."""

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from avscene.inference.reading import Source

Item = TypeVar("Item")
_CHUNK = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class FileState:
    """The sizes in bytes and the modification times in nanoseconds of the files of a recording, joined by `+`."""

    sizes: str
    mtimes: str


def paths_of(source: Source) -> list[str]:
    """Return the files of a recording: the media file and, if the audio is apart, the file with the audio."""
    return [os.fspath(path) for path in (source.path, source.audio) if path is not None]


def key_of(source: Source) -> bytes:
    """Return the absolute paths of the files of a recording, by which a journal finds it."""
    return b"\0".join(os.fsencode(os.path.abspath(path)) for path in paths_of(source))  # noqa: PTH100  # keeps links


def paths_of_key(key: bytes) -> list[str]:
    """Return the paths that `key_of` joined."""
    return [os.fsdecode(path) for path in key.split(b"\0")]


def state_of(paths: Sequence[str]) -> FileState | None:
    """Return the state of files; None if one is missing or is not a regular file."""
    try:
        found = [os.stat(path) for path in paths]  # noqa: PTH116  # any string, also one that is no path
    except (OSError, ValueError):
        return None
    if not all(stat.S_ISREG(one.st_mode) for one in found):
        return None
    return FileState("+".join(str(one.st_size) for one in found), "+".join(str(one.st_mtime_ns) for one in found))


def sha256_in_state(paths: Sequence[str], state: FileState, stopped: Callable[[], bool] = lambda: False) -> str | None:
    """Return the SHA-256 of files, joined by `+`.

    None if they are not, or no longer, in `state`, if they cannot be read, or once `stopped` returns True.
    """
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
