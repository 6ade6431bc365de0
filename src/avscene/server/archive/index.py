"""Keep an index of files of results, which grow while `classify` runs."""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

from avscene.server.archive.content import MAX_DOCUMENT, FoundResult, read_document, read_lines
from avscene.server.archive.database import INDEX, connected, prepare, transaction
from avscene.server.archive.files import ResultsFile, results_files
from avscene.server.archive.rows import FilePosition, add_file, forget_file, last_number, list_latest

BATCH = 500  # results between two commits
_MARK_BYTES = 4096  # at the beginning and at the end of what was read, by which it is recognised


@dataclass(slots=True)
class _Meter:
    """Reports how many bytes of results were read."""

    show: Callable[[int, int], None]
    total: int
    done: int = 0

    def add(self, n_bytes: int) -> None:
        self.done += n_bytes
        self.show(min(self.done, self.total), self.total)


@dataclass(frozen=True, slots=True)
class ArchiveIndex:
    """The index of the results at a path, in a SQLite file, which one thread at a time updates.

    Raises:
        StorageError: the file cannot be written.
    """

    results: Path
    path: Path = field(kw_only=True)

    def __post_init__(self) -> None:
        prepare(self.path)

    def update(self, progress: Callable[[int, int], None]) -> None:
        """Read what is new in the results, and forget what is gone.

        Args:
            progress: called with the number of bytes that were read, and of all to read; the update ends if it raises.

        Raises:
            StorageError: the index cannot be written.
        """
        files = results_files(self.results)
        with INDEX.errors_named(self.path), connected(self.path) as connection:
            known = {Path(os.fsdecode(row["path"])): row for row in connection.execute("SELECT * FROM files")}
            gone = known.keys() - {file.path for file in files}
            if gone:
                with transaction(connection):
                    for path in gone:
                        forget_file(connection, known[path]["id"])
                    list_latest(connection)
            changed = [(file, known.get(file.path)) for file in files if _is_changed(file, known.get(file.path))]
            meter = _Meter(progress, sum(file.size for file, _ in changed))
            for file, row in changed:
                _update_file(connection, file, row, meter)


def _is_changed(file: ResultsFile, row: sqlite3.Row | None) -> bool:
    return row is None or (row["size"], row["modified"]) != (file.size, file.modified)


def _update_file(connection: sqlite3.Connection, file: ResultsFile, row: sqlite3.Row | None, meter: _Meter) -> None:
    """Read what was added to a file, or the whole file if it was replaced."""
    try:
        with file.path.open("rb") as content:
            if row is None:
                _read(connection, content, file, add_file(connection, file), meter)
            elif _continues(content, file, row):
                names = ("id", "read_to", "n_lines", "n_broken", "problem")
                _read(connection, content, file, FilePosition(*(row[name] for name in names)), meter)
            else:
                with transaction(connection):  # its earlier results are listed until the new ones are complete
                    forget_file(connection, row["id"])
                    _read(connection, content, file, add_file(connection, file), meter, is_whole=True)
                    list_latest(connection)
    except OSError:  # it was removed meanwhile or cannot be read; the next update tries again
        return


def _read(
    connection: sqlite3.Connection,
    content: IO[bytes],
    file: ResultsFile,
    position: FilePosition,
    meter: _Meter,
    *,
    is_whole: bool = False,
) -> None:
    """Read a file from a position to its end, and commit now and then unless it is to be read as a whole."""
    meter.add(position.read_to)
    results = _results(content, file, position)
    while batch := list(islice(results, BATCH)):
        before = position.read_to
        with nullcontext() if is_whole else transaction(connection):
            first = last_number(connection)
            for found in batch:
                position.add(connection, found)
            list_latest(connection, first)
            position.save(connection, _mark(content, position.read_to))
        meter.add(position.read_to - before)
    position.save(connection, _mark(content, position.read_to), file)


def _results(content: IO[bytes], file: ResultsFile, position: FilePosition) -> Iterator[FoundResult]:
    content.seek(position.read_to)
    if file.has_lines:
        return read_lines(content, position.n_lines + 1)
    if file.size > MAX_DOCUMENT:
        problem = f"is larger than {MAX_DOCUMENT >> 20} MiB, the most that is read of JSON; try: results.jsonl"
        return iter([FoundResult(0, 0, problem=problem)])
    return read_document(content.read(MAX_DOCUMENT + 1))


def _continues(content: IO[bytes], file: ResultsFile, row: sqlite3.Row) -> bool:
    """Return whether a file of lines has grown, and still begins with what was read."""
    return file.has_lines and file.size > row["size"] and _mark(content, row["read_to"]) == row["mark"]


def _mark(content: IO[bytes], read_to: int) -> bytes:
    """Return a digest of the first and the last of the bytes that were read; the position in the file stays."""
    position, length = content.tell(), min(_MARK_BYTES, read_to)
    digest = hashlib.sha256()
    for start in (0, read_to - length):
        content.seek(start)
        digest.update(content.read(length))
    content.seek(position)
    return digest.digest()
