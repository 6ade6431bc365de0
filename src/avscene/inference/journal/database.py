"""Store outcomes of recordings in a SQLite file, which a killed process leaves readable."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import DataError, UsageError
from avscene.inference.journal.content import FileState

APPLICATION_ID = 0x61767363  # "avsc"; SQLite keeps it, and the version, in the header of the file
VERSION = 1
COMMIT_SECONDS = 0.5  # the longest time that an outcome is not on disk
COMMIT_RECORDS = 64
PARTIAL_OUTPUT = "partial output"  # a note: device and inode of the output that an interrupted run left
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


@dataclass(frozen=True, slots=True)
class Record:
    """What a journal has of one recording, except the outcome.

    `failed` states the conditions under which the recording failed, None if it did not.
    """

    id: int
    source: bytes
    state: FileState
    sha256: str | None
    failed: str | None


class Journal:
    """The outcomes of one system and its settings, in a file that may hold those of others too.

    Records are committed at most COMMIT_SECONDS after they were added, by a thread of its own.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, system: str) -> None:
        self.path = path
        self._connection = connection
        self._system = system
        self._inode = _inode(path)
        self._lock = threading.RLock()
        self._changes = 0  # since the last commit
        self._last_commit = time.monotonic()
        self._closed = threading.Event()
        self._error: Exception | None = None  # of a commit in the thread
        self._thread = threading.Thread(target=self._commit_regularly, name="journal", daemon=True)
        self._thread.start()

    def find(self, source: bytes) -> Record | None:
        """Return the record of a recording."""
        return next(self._records("source = ?", source), None)

    def records(self) -> Iterator[Record]:
        """Yield all records of the system."""
        last = -1
        while batch := list(self._records("id > ? ORDER BY id LIMIT 1000", last)):
            yield from batch
            last = batch[-1].id

    def outcome(self, source: bytes) -> bytes:
        """Return the packed outcome of a recording that has a record."""
        with self._access():
            row = self._connection.execute(
                "SELECT outcome FROM records WHERE system = ? AND source = ?", (self._system, source)
            ).fetchone()
        return bytes(row[0])

    def add(self, source: bytes, state: FileState, outcome: bytes, failed: str | None) -> int:
        """Store the outcome of a recording in place of an earlier one, and return the id of the record.

        `failed` is that of `Record`.
        """
        cursor = self._change(
            "INSERT OR REPLACE INTO records (system, source, sizes, mtimes, failed, outcome) VALUES (?, ?, ?, ?, ?, ?)",
            (self._system, source, state.sizes, state.mtimes, failed, outcome),
        )
        return int(cursor.lastrowid or 0)

    def set_sha256(self, record: int, sha256: str) -> None:
        """Store the SHA-256 of the files of a record."""
        self._change("UPDATE records SET sha256 = ? WHERE id = ?", (sha256, record))

    def move(self, moves: Sequence[tuple[int, bytes, FileState]]) -> None:
        """Make records those of other paths or modification times; the content is the same.

        Args:
            moves: the id of a record, its new source and the new state of its files.
        """
        with self._lock:  # the thread does not commit a part
            self._move(moves)
            self.commit()

    def _move(self, moves: Sequence[tuple[int, bytes, FileState]]) -> None:
        for record, _, _ in moves:  # two files may have exchanged their names
            self._change("UPDATE records SET source = ? WHERE id = ?", (b"\0%d" % record, record), commit=False)
        for record, source, state in moves:
            self._change("DELETE FROM records WHERE system = ? AND source = ?", (self._system, source), commit=False)
            self._change(
                "UPDATE records SET source = ?, sizes = ?, mtimes = ? WHERE id = ?",
                (source, state.sizes, state.mtimes, record),
                commit=False,
            )

    def note(self, name: str) -> str | None:
        """Return the value of a note."""
        with self._access():
            row = self._connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_note(self, name: str, value: str | None) -> None:
        """Set a note, or remove it, on disk at once."""
        if value is None:
            self._change("DELETE FROM notes WHERE name = ?", (name,))
        else:
            self._change("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))
        self.commit()

    def commit(self) -> None:
        """Write everything that was added to the disk.

        Raises:
            UsageError: the file cannot be written, or is no longer at its path.
        """
        with self._access():
            self._commit()

    def close(self) -> None:
        """Commit and close the file."""
        self._closed.set()
        self._thread.join()
        try:
            self.commit()
        finally:
            self._connection.close()

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Hold the lock, and raise errors of SQLite, also those of the thread, as errors that name the file."""
        with self._lock:
            if self._error is not None:
                raise self._error
            with errors_named(self.path):
                yield

    def _records(self, condition: str, value: object) -> Iterator[Record]:
        with self._access():
            rows = self._connection.execute(
                "SELECT id, source, sizes, mtimes, sha256, failed FROM records "  # noqa: S608  # no value of a user
                f"WHERE system = ? AND {condition}",
                (self._system, value),
            ).fetchall()
        for number, source, sizes, mtimes, sha256, failed in rows:
            yield Record(number, bytes(source), FileState(sizes, mtimes), sha256, failed)

    def _change(self, statement: str, values: tuple[object, ...], *, commit: bool = True) -> sqlite3.Cursor:
        with self._access():
            cursor = self._connection.execute(statement, values)
            self._changes += 1
            if commit and (self._changes >= COMMIT_RECORDS or self._is_due()):
                self._commit()
        return cursor

    def _is_due(self) -> bool:
        return time.monotonic() - self._last_commit >= COMMIT_SECONDS

    def _commit(self) -> None:
        if self._changes and _inode(self.path) != self._inode:
            raise UsageError(f"{self.path}: was removed or replaced during the run; run the same command again")
        self._connection.commit()
        self._changes = 0
        self._last_commit = time.monotonic()

    def _commit_regularly(self) -> None:
        while not self._closed.wait(COMMIT_SECONDS / 2):
            try:
                with self._access():
                    if self._changes and self._is_due():
                        self._commit()
            except (DataError, UsageError) as error:
                self._error = error
                return


@contextmanager
def open_journal(path: Path, system: str) -> Iterator[Journal]:
    """Open the journal `path`, which is made if need be, for the outcomes of the system with this fingerprint.

    Raises:
        UsageError: it cannot be written, or another process has it open.
        DataError: it is damaged, of another version, or not a journal.
    """
    with errors_named(path):
        _prepare_file(path)
        # The thread that commits uses the connection too, under a lock.
        connection = sqlite3.connect(path, timeout=0, check_same_thread=False)
    with closing(connection):
        with errors_named(path):
            _set_up(path, connection)
        journal = Journal(path, connection, system)
        try:
            yield journal
        except BaseException:
            with suppress(DataError, UsageError):  # the first error is the one to report
                journal.close()
            raise
        journal.close()


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


def _prepare_file(path: Path) -> None:
    """Check that the file can be written and is no other file than a journal; make it if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is not a journal but a folder or a device; fix: rename it, or the output")
    with path.open("a+b") as file:
        file.seek(0)
        header = file.read(len(_SQLITE_HEADER))
    if header and header != _SQLITE_HEADER:
        raise DataError(f"{path}: is not a journal of avscene, or damaged; fix: rename or remove it")


def _set_up(path: Path, connection: sqlite3.Connection) -> None:
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


def _inode(path: Path) -> tuple[int, int]:
    """Return device and inode of a file; zeros if it is missing."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
