"""Store outcomes of recordings in a SQLite file, which a killed process leaves readable."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import DataError, UsageError
from avscene.inference.journal.content import FileState
from avscene.inference.journal.sqlite_file import JOURNAL, inode_of, set_up

COMMIT_SECONDS = 0.5  # the longest time that an outcome is not on disk
COMMIT_RECORDS = 64
PARTIAL_OUTPUT = "partial output"  # a note: device and inode of the output that an interrupted run left
ASIDE = " aside"  # after a fingerprint: outcomes for one run only

_INSERT = """
INSERT OR REPLACE INTO records (system, source, sizes, mtimes, sha256, failed, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)
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


@dataclass(frozen=True, slots=True)
class NewRecord:
    """The packed outcome of a recording, to be stored.

    `state` is that of its files, None if the outcome is only for this run (see `Journal.set_aside`); `sha256` is that
    of the files if it is known. `failed` is that of `Record`.
    """

    source: bytes
    state: FileState | None
    outcome: bytes
    failed: str | None = None
    sha256: str | None = None


class Journal:
    """The outcomes of one system and its settings, in a file that may hold those of others too.

    Records are committed at most COMMIT_SECONDS after they were added, by a thread of its own.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, system: str) -> None:
        self.path = path
        self._connection = connection
        self._system = system
        self._inode = inode_of(path)
        self._lock = threading.RLock()
        self._changes = 0  # since the last commit
        self._last_commit = time.monotonic()
        self._closed = threading.Event()
        self._error: Exception | None = None  # of a commit in the thread
        self._change("DELETE FROM records WHERE system = ?", (system + ASIDE,))  # of an earlier run
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
        """Return the packed outcome of a recording that has a record, or was set aside in this run."""
        with self._access():
            row = self._connection.execute(
                "SELECT outcome FROM records WHERE source = ?1 AND system IN (?2, ?3) ORDER BY system = ?3 DESC",
                (source, self._system, self._system + ASIDE),
            ).fetchone()
        return bytes(row[0])

    def add(self, record: NewRecord) -> int:
        """Store the outcome of a recording in place of an earlier one, and return the id of the record."""
        return self._insert(record, commit=True)

    def add_many(self, records: Sequence[NewRecord]) -> None:
        """Store outcomes, also those to set aside, and commit them together: all or none are on disk."""
        with self._lock:  # the thread does not commit a part
            for record in records:
                if record.state is None:
                    self.set_aside(record.source, record.outcome)
                else:
                    self._insert(record, commit=False)
            self.commit()

    def _insert(self, record: NewRecord, *, commit: bool) -> int:
        assert record.state is not None
        values = (record.source, record.state.sizes, record.state.mtimes, record.sha256, record.failed, record.outcome)
        return int(self._change(_INSERT, (self._system, *values), commit=commit).lastrowid or 0)

    def set_aside(self, source: bytes, outcome: bytes) -> None:
        """Store an outcome for this run only, as its recording could not be opened or changed meanwhile.

        A record of the recording stays for later runs: the file may come back.
        """
        self._change(_INSERT, (self._system + ASIDE, source, "", "", None, None, outcome), commit=False)

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
            with JOURNAL.errors_named(self.path):
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
        if self._changes and inode_of(self.path) != self._inode:
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
    with JOURNAL.errors_named(path):
        JOURNAL.prepare(path)
        # The thread that commits uses the connection too, under a lock.
        connection = sqlite3.connect(path, timeout=0, check_same_thread=False)
    with closing(connection):
        with JOURNAL.errors_named(path):
            set_up(path, connection)
        journal = Journal(path, connection, system)
        try:
            yield journal
        except BaseException:
            with suppress(DataError, UsageError):  # the first error is the one to report
                journal.close()
            raise
        journal.close()
