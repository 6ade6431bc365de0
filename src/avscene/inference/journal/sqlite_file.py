"""Define the SQLite file of a journal, and lock it for one process."""

import os
import sqlite3
from pathlib import Path

from avscene.databases import DatabaseKind

_SCHEMA = """
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    system TEXT NOT NULL,   -- fingerprint of the system and of the settings
    source BLOB NOT NULL,   -- absolute paths of the files, joined by a zero byte
    sizes TEXT NOT NULL,    -- of the files, in bytes, joined by +
    mtimes TEXT NOT NULL,   -- likewise, in nanoseconds
    sha256 TEXT,            -- likewise; NULL until it is computed
    failed TEXT,            -- conditions under which the recording failed; NULL if it did not
    outcome BLOB NOT NULL,
    UNIQUE (system, source)
);
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
JOURNAL = DatabaseKind(
    name="journal",
    application_id=0x61767363,  # "avsc"
    version=1,
    schema=_SCHEMA,
    fix="remove it and run the command again",
    busy="another run with the same --output is using it; wait until it ends",
    retry="once it can, run the same command again to continue",
)


def set_up(path: Path, connection: sqlite3.Connection) -> None:
    """Lock the file for this process, and check it or write its tables."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN EXCLUSIVE")  # locks the file until the connection is closed, however the process ends
    connection.commit()
    JOURNAL.set_up(path, connection)
    version = f"PRAGMA user_version = {JOURNAL.version}"
    connection.execute(version)  # a change, after which SQLite removes files of a killed run
    connection.commit()


def inode_of(path: Path) -> tuple[int, int]:
    """Return device and inode of a file; zeros if it is missing."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
