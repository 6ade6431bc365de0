"""Open the SQLite file of an index; one that is damaged or of another version is made again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avscene.databases import DatabaseKind
from avscene.errors import DataError, StorageError

BUSY_SECONDS = 30.0  # that a statement waits for another thread
MAPPED_BYTES = 2**30  # of the file that are read without copies; more than that of a million recordings
_SCHEMA = """
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,  -- nanoseconds since 1970
    read_to INTEGER NOT NULL,   -- bytes that are in the index
    n_lines INTEGER NOT NULL,   -- in these bytes
    mark BLOB NOT NULL,         -- digest of the first and the last of these bytes
    n_broken INTEGER NOT NULL,  -- records that are no results
    problem TEXT                -- of the first of them
);
CREATE TABLE recordings (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- later results have larger ones
    file INTEGER NOT NULL,
    start INTEGER NOT NULL,     -- bytes in the file
    length INTEGER NOT NULL,
    source TEXT NOT NULL,       -- JSON, as the name of a file may be no valid text
    folded TEXT NOT NULL,       -- source in the form in which it is searched and sorted
    system TEXT NOT NULL,       -- empty of a failure
    listed INTEGER NOT NULL DEFAULT 0,  -- no later result replaces it
    duration REAL,
    scene TEXT,
    scenes TEXT NOT NULL,       -- JSON
    score REAL,
    unsure INTEGER NOT NULL,
    mismatch INTEGER,
    unfamiliar INTEGER,
    error_type TEXT,
    error TEXT
);
CREATE TABLE scenes (name TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (name, number)) WITHOUT ROWID;
CREATE INDEX scenes_by_number ON scenes (number);
CREATE INDEX recordings_by_file ON recordings (file);
CREATE INDEX recordings_by_source ON recordings (source, system);
CREATE INDEX recordings_by_name ON recordings (listed, folded);
CREATE INDEX recordings_by_score ON recordings (listed, score);
CREATE INDEX recordings_by_duration ON recordings (listed, duration);
"""
INDEX = DatabaseKind(
    name="index of results",
    application_id=0x61767369,  # "avsi"
    version=1,
    schema=_SCHEMA,
    fix="remove it and start avscene serve again",
    busy="another program is using it; wait until it ends",
    error=StorageError,
)


def prepare(path: Path) -> None:
    """Make the file of an index, again if it is damaged or of another version.

    Raises:
        StorageError: it cannot be written.
    """
    try:
        _set_up(path)
    except DataError:
        with INDEX.errors_named(path):
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        _set_up(path)


def _set_up(path: Path) -> None:
    with INDEX.errors_named(path):
        INDEX.prepare(path)
        with connected(path) as connection:
            INDEX.set_up(path, connection)
            connection.execute("PRAGMA journal_mode = WAL")  # lists are read while it grows


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file and close it at the end; each statement is a transaction, unless one is begun."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit the changes of a block together, or none of them after an error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
