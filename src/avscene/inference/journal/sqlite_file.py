"""Prepare and check the SQLite file of a journal, and name it in errors."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avscene.errors import DataError, UsageError

APPLICATION_ID = 0x61767363  # "avsc"; SQLite keeps it, and the version, in the header of the file
VERSION = 1
_SQLITE_HEADER = b"SQLite format 3\0"
_FULL, _CORRUPT, _NOT_A_DATABASE, _BUSY = 13, 11, 26, 5  # primary result codes of SQLite

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
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


@contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the system as errors with the name of the journal and what to do.

    Raises:
        UsageError: it cannot be written, or another process has it open.
        DataError: it is damaged.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest is detail
        if code == _BUSY:
            raise UsageError(f"{path}: another run with the same --output is using it; wait until it ends") from error
        if code in (_CORRUPT, _NOT_A_DATABASE):
            raise damaged(path, str(error)) from error
        reason = "No space left on device" if code == _FULL else str(error)
        raise UsageError(
            f"{path}: cannot be written ({reason}); once it can, run the same command again to continue"
        ) from error


def damaged(path: Path, reason: str) -> DataError:
    """Return the error of a journal that cannot be read."""
    return DataError(f"{path}: the journal is damaged ({reason}); fix: remove it and run the command again")


def prepare_file(path: Path) -> None:
    """Check that the file can be written and is no other file than a journal; make it if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a journal but a folder or a device; fix: rename it, or the output")
    with path.open("a+b") as file:
        file.seek(0)
        header = file.read(len(_SQLITE_HEADER))
    if header and header != _SQLITE_HEADER:
        raise DataError(f"{path}: is not a journal of avscene, or damaged; fix: rename or remove it")


def set_up(path: Path, connection: sqlite3.Connection) -> None:
    """Lock the file for this process, and check it or write its tables."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN EXCLUSIVE")  # locks the file until the connection is closed, however the process ends
    connection.commit()
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if not application and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.executescript(f"BEGIN;{_SCHEMA}COMMIT;")  # a new file
        return
    if application != APPLICATION_ID:
        raise DataError(f"{path}: is not a journal of avscene but another database; fix: rename it")
    if version != VERSION:
        raise DataError(
            f"{path}: is a journal of version {version}, not {VERSION}, so of another version of avscene; "
            "fix: remove it and run the command again"
        )
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise damaged(path, problem)
    connection.execute(f"PRAGMA user_version = {VERSION}")  # a change, after which SQLite removes files of a killed run
    connection.commit()


def inode_of(path: Path) -> tuple[int, int]:
    """Return device and inode of a file; zeros if it is missing."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
