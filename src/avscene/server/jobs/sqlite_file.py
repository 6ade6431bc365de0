"""Define the SQLite file of jobs, and open it for the threads of one process."""

import sqlite3
from pathlib import Path

from avscene.databases import DatabaseKind
from avscene.errors import StorageError, UsageError

_SCHEMA = """
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
CREATE INDEX jobs_by_turn ON jobs (turn);
"""
JOBS = DatabaseKind(
    name="table of jobs",
    application_id=0x6176736A,  # "avsj"
    version=1,
    schema=_SCHEMA,
    fix="remove it and start avscene serve again, which forgets all jobs",
    busy="another program is using it; wait until it ends",
    error=StorageError,
)


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file, which is made if need be; threads may share the connection, one at a time.

    Raises:
        DataError: it is damaged, another database, or of another version.
        UsageError: it cannot be written.
    """
    try:
        with JOBS.errors_named(path):
            path.touch(0o600)  # it has the names of files; SQLite gives its other files the same mode
            JOBS.prepare(path)
            connection = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            try:
                connection.row_factory = sqlite3.Row
                JOBS.set_up(path, connection)
                # A commit survives the process; a failure of power may undo the last ones, but damages nothing.
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                connection.close()
                raise
    except StorageError as error:
        raise UsageError(str(error)) from error
    return connection
