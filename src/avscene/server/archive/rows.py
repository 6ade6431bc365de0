"""Write results into the index, and decide which of several for one recording is listed."""

import json
import os
import sqlite3
from dataclasses import dataclass

from avscene.errors import DataError
from avscene.reports.recordings.spans import UNKNOWN_SCENE
from avscene.server.archive.content import FoundResult
from avscene.server.archive.entries import Entry, entry_of
from avscene.server.archive.files import ResultsFile
from avscene.server.jobs.rows import searchable, storable

UNFINISHED = -1  # instead of the size of a file that was not read to its end
# A result is replaced by a later one of the same source and system, a failure by any later one of its source.
_LIST = """
UPDATE recordings SET listed = NOT EXISTS (
    SELECT 1 FROM recordings AS later WHERE later.source = recordings.source AND later.number > recordings.number
    AND (later.system = recordings.system OR recordings.system = '')
)
"""
_OF_SOURCES_AFTER = " WHERE source IN (SELECT source FROM recordings WHERE number > ?)"
_COLUMNS = (
    *("file", "start", "length", "source", "folded", "system", "duration", "scene", "scenes", "score", "unsure"),
    *("mismatch", "unfamiliar", "error_type", "error"),
)
_INSERT = f"INSERT INTO recordings ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


@dataclass(slots=True)
class FilePosition:
    """How far a file of results is in the index: bytes, lines, and what was found there that is no result."""

    id: int
    read_to: int = 0
    n_lines: int = 0
    n_broken: int = 0
    problem: str | None = None

    def add(self, connection: sqlite3.Connection, found: FoundResult) -> None:
        """Write the next result into the index, or count it if it is none."""
        problem = found.problem
        if problem is None:
            try:
                _insert(connection, self.id, found, entry_of(found.values))
            except DataError as error:
                problem = str(error)
        if problem is not None:
            self.n_broken += 1
            self.problem = self.problem or f"{found.place} {problem}"
        self.read_to, self.n_lines = found.start + found.length, found.line

    def save(self, connection: sqlite3.Connection, mark: bytes, state: ResultsFile | None = None) -> None:
        """Write the position; `state` is that of the file once it was read to its end."""
        size, modified = (UNFINISHED, 0) if state is None else (state.size, state.modified)
        problem = None if self.problem is None else storable(self.problem)
        connection.execute(
            "UPDATE files SET size = ?, modified = ?, read_to = ?, n_lines = ?, mark = ?, n_broken = ?, problem = ? "
            "WHERE id = ?",
            (size, modified, self.read_to, self.n_lines, mark, self.n_broken, problem, self.id),
        )


def add_file(connection: sqlite3.Connection, file: ResultsFile) -> FilePosition:
    """Add a file of which nothing was read yet."""
    statement = (
        "INSERT INTO files (path, size, modified, read_to, n_lines, mark, n_broken) VALUES (?, ?, 0, 0, 0, x'', 0)"
    )
    return FilePosition(int(connection.execute(statement, (os.fsencode(file.path), UNFINISHED)).lastrowid or 0))


def forget_file(connection: sqlite3.Connection, file: int) -> None:
    """Remove a file and its results; `list_latest` has to follow."""
    connection.execute("DELETE FROM scenes WHERE number IN (SELECT number FROM recordings WHERE file = ?)", (file,))
    connection.execute("DELETE FROM recordings WHERE file = ?", (file,))
    connection.execute("DELETE FROM files WHERE id = ?", (file,))


def last_number(connection: sqlite3.Connection) -> int:
    """Return the largest number of a result."""
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM recordings").fetchone()[0])


def list_latest(connection: sqlite3.Connection, after: int | None = None) -> None:
    """List the latest result of each source and system.

    Args:
        connection: to the index.
        after: only sources that have a result with a larger number than this are looked at; None: all.
    """
    if after is None:
        connection.execute(_LIST)
    else:
        connection.execute(_LIST + _OF_SOURCES_AFTER, (after,))


def _insert(connection: sqlite3.Connection, file: int, found: FoundResult, entry: Entry) -> None:
    error_type, error = (None, None) if entry.error is None else map(storable, entry.error)
    scenes = tuple(map(storable, entry.scenes))
    values = (
        *(file, found.start, found.length, json.dumps(entry.source), searchable([entry.source])),
        *(storable(entry.system), entry.duration, None if entry.scene is None else storable(entry.scene)),
        *(json.dumps(scenes), entry.score, entry.unsure, entry.mismatch, entry.unfamiliar, error_type, error),
    )
    number = connection.execute(_INSERT, values).lastrowid
    headings = scenes or ((UNKNOWN_SCENE,) if entry.error is None else ())
    connection.executemany("INSERT INTO scenes VALUES (?, ?)", [(scene, number) for scene in headings])
