"""Open the SQLite file of jobs, check it or write its tables, and raise errors that name it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avscene.errors import AvsceneError, DataError, StorageError, UsageError

APPLICATION_ID = 0x6176736A  # "avsj"
VERSION = 1
_FULL, _CORRUPT, _NOT_A_DATABASE = 13, 11, 26  # primary result codes of SQLite

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- order in which they were added
    id TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,  -- JSON
    listed INTEGER NOT NULL,
    words TEXT NOT NULL,    -- file name and scenes, as they are searched
    state TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    size INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    turn INTEGER,           -- order in which they were queued
    owner TEXT,             -- process that runs it
    lease REAL,             -- when it may be given to another owner
    reached REAL NOT NULL DEFAULT 0,
    duration REAL,
    outline TEXT,           -- JSON
    error TEXT              -- JSON
);
CREATE INDEX jobs_by_state ON jobs (state, turn);
"""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raise errors of SQLite as errors with the name of the file.

    Raises:
        DataError: it is damaged.
        StorageError: it cannot be read or written, now or at all.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest is detail
        if code in (_CORRUPT, _NOT_A_DATABASE):
            raise _damaged(path, str(error)) from error
        reason = "No space left on device" if code == _FULL else str(error)
        raise StorageError(f"{path}: cannot be read or written ({reason})") from error


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file, which is made if need be; threads may share the connection, one at a time.

    Raises:
        DataError: it is damaged, another database, or of another version.
        UsageError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a table of jobs but a folder or a device; fix: rename it")
    try:
        with storage_errors(path):
            connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            try:
                connection.row_factory = sqlite3.Row
                _set_up(path, connection)
            except BaseException:
                connection.close()
                raise
    except StorageError as error:
        raise UsageError(str(error)) from error
    return connection


def _set_up(path: Path, connection: sqlite3.Connection) -> None:
    application, version, n_tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    if application != APPLICATION_ID and (application or n_tables):
        raise DataError(f"{path}: is not a table of jobs but another database; fix: rename it")
    if application and version != VERSION:
        raise DataError(
            f"{path}: is a table of jobs of version {version}, not {VERSION}, so of another version of avscene; "
            "fix: use that version, or remove the file and its jobs"
        )
    # A commit survives the end of the process; a power failure may undo the last ones, but not damage the file.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if not application:
        connection.executescript(f"BEGIN;{_SCHEMA}COMMIT;")
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise _damaged(path, problem)


def _damaged(path: Path, reason: str) -> AvsceneError:
    return DataError(f"{path}: the table of jobs is damaged ({reason}); fix: remove it, and its jobs are forgotten")
