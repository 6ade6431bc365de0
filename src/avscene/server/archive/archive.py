"""Browse the results at a path: list them, and read one of them."""

import logging
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from avscene.errors import AvsceneError, StorageError
from avscene.files import cache_directory, lock
from avscene.progress import StageProgress, silent
from avscene.server.archive.content import parse
from avscene.server.archive.database import INDEX, connected
from avscene.server.archive.entries import Entry
from avscene.server.archive.files import check_results
from avscene.server.archive.index import ArchiveIndex
from avscene.server.archive.media import media_path, preview_directory
from avscene.server.archive.queries import ArchiveQuery, IndexedRecording, find_recording, read_page

logger = logging.getLogger(__name__)

UPDATE_SECONDS = 2.0  # between two looks at the files of results, at least
MAX_UPDATE_SECONDS = 60.0  # at most, where a look takes long because there are many files
_SHARE = 0.1  # of the time that looks may take


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRecording:
    """A result of a list: its number, its entry, and whether its media is on this machine."""

    number: int
    entry: Entry
    has_media: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePage:
    """A part of a list, and figures of all that meet its conditions; `total`, `scenes` and `broken` as of IndexPage."""

    total: int
    recordings: list[ListedRecording]
    scenes: dict[str, int]
    broken: int


class ResultsChangedError(AvsceneError):
    """The file of a result was changed after it was read."""


class _StoppedError(Exception):
    """The archive is closed during an update."""


class Archive:
    """The results of `classify` in a file, or in all files below a directory; may be used by several threads.

    An index of them is kept in the cache directory, so that the next start reads only what is new. Lists show new
    results after a few seconds. Of several results for one source and system, the latest is listed, and a failure only
    as long as there is no later result for its source. Relative sources are looked up in the present directory, then
    beside the file of the results.

    Args:
        results: the file or directory.
        progress: called with the name of the stage while the index is made.

    Raises:
        UsageError: there are no results at the path, or not in a format that can be read.
        StorageError: the index cannot be written.
    """

    def __init__(self, results: Path, progress: StageProgress = silent) -> None:
        check_results(results)
        self._results = results.absolute()
        self._start_directory = Path.cwd()
        self._exit = ExitStack()
        self._updating, self._starting = threading.Lock(), threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_update = 0.0
        try:
            self._directory = self._exit.enter_context(_index_directory(self._results))
            self._index = ArchiveIndex(self._results, path=self._directory / "index.sqlite")
            self.update(progress("reading results"))
            self._warn()
        except BaseException:
            self._exit.close()
            raise

    def close(self) -> None:
        """Stop updating, and let other processes use the index."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._exit.close()

    def update(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Read what is new in the files of results.

        Raises:
            StorageError: the index cannot be written.
        """
        with self._updating:
            self._index.update(lambda done, total: self._show(progress, done, total))

    def page(self, query: ArchiveQuery) -> ArchivePage:
        """Return the recordings that a query asks for; new results are read meanwhile, for the next page.

        Raises:
            StorageError: the index cannot be read.
        """
        self._update_soon()
        with self._connected() as connection:
            page = read_page(connection, query)
        recordings = [
            ListedRecording(number=found.number, entry=found.entry, has_media=self._media(found) is not None)
            for found in page.recordings
        ]
        return ArchivePage(total=page.total, recordings=recordings, scenes=page.scenes, broken=page.broken)

    def read(self, number: int) -> dict[str, Any]:
        """Return a result by its number: a prediction or a failure of schema `avscene/1`.

        Raises:
            KeyError: there is no such result.
            ResultsChangedError: its file was changed.
        """
        found = self._find(number)
        try:
            with found.path.open("rb") as file:
                file.seek(found.start)
                values: dict[str, Any] = parse(file.read(found.length))
            if values["source"] == found.entry.source:
                return values
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self._update_soon()
        raise ResultsChangedError(f"{found.path.name}: was changed; open the list of recordings again")

    def media(self, number: int) -> Path | None:
        """Return the media file of a result, None if it is a failure or the file is not on this machine.

        Raises:
            KeyError: there is no such result.
        """
        return self._media(self._find(number))

    def preview_directory(self, media: Path) -> Path:
        """Return the directory in which the preview of a media file is kept.

        Raises:
            StorageError: it cannot be made, or the media file is gone.
        """
        try:
            return preview_directory(self._directory / "previews", media)
        except OSError as error:
            raise StorageError(f"{media.name}: its preview cannot be kept ({error.strerror or error})") from error

    def _find(self, number: int) -> IndexedRecording:
        with self._connected() as connection:
            return find_recording(connection, number)

    def _media(self, found: IndexedRecording) -> Path | None:
        if found.entry.error is not None:
            return None
        return media_path(found.entry.source, (self._start_directory, found.path.parent))

    def _update_soon(self) -> None:
        """Start an update in a thread, unless one runs or has just ended."""
        if self._stopped.is_set() or time.monotonic() < self._next_update:
            return
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._update_in_thread, name="avscene-archive", daemon=True)
                self._thread.start()

    def _update_in_thread(self) -> None:
        begin = time.monotonic()
        try:
            self.update()
        except _StoppedError:
            return
        except AvsceneError as error:
            logger.warning(str(error))
        pause = max(UPDATE_SECONDS, (time.monotonic() - begin) / _SHARE)
        self._next_update = time.monotonic() + min(pause, MAX_UPDATE_SECONDS)

    def _show(self, progress: Callable[[int, int], None] | None, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise _StoppedError
        if progress is not None:
            progress(done, total)

    def _warn(self) -> None:
        """Warn of records that are no results, and if there is no result at all."""
        with self._connected() as connection:
            n_results = connection.execute("SELECT count(*) FROM recordings").fetchone()[0]
            broken = connection.execute(
                "SELECT path, n_broken, problem FROM files WHERE n_broken ORDER BY id"
            ).fetchall()
        if broken:
            n_broken = sum(row["n_broken"] for row in broken)
            place = f"{os.fsdecode(broken[0]['path'])}: {broken[0]['problem']}"
            logger.warning(
                f"{self._results}: {n_broken} records of {len(broken)} file{'s' * (len(broken) > 1)} are no results "
                f"and are left out; the first is {place}"
            )
        if not n_results:
            logger.warning(f"{self._results}: has no results yet; try: avscene classify PATH... --output results.jsonl")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with INDEX.errors_named(self._index.path), connected(self._index.path) as connection:
            yield connection


@contextmanager
def _index_directory(results: Path) -> Iterator[Path]:
    """Yield the directory of the index, which no other process uses; a temporary one if that is not possible."""
    directory = cache_directory() / "archives" / sha256(bytes(results)).hexdigest()[:32]
    with ExitStack() as stack:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(lock(directory / "lock"))
        except OSError:  # another server browses the same results, or the cache cannot be written
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avscene-archive-")))
        yield directory
