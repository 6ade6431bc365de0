"""Run statements on the SQLite file of jobs, from any thread, one transaction at a time."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avscene.server.jobs.record import Job
from avscene.server.jobs.rows import job_of, storable
from avscene.server.jobs.sqlite_file import JOBS, open_file


class Database:
    """One connection, which threads share under a lock.

    Raises:
        DataError: the file is damaged, another database, or of another version.
        UsageError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection = open_file(path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the file for several statements; their changes are committed together, or none after an error.

        Raises:
            StorageError: the file cannot be written.
        """
        with self._lock, JOBS.errors_named(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself rolls back after some errors
                    self._connection.execute("ROLLBACK")
                raise

    def select(self, query: str, values: dict[str, object] | None = None) -> list[sqlite3.Row]:
        """Return the rows of a query with named values.

        Raises:
            StorageError: the file cannot be read.
        """
        with self._lock, JOBS.errors_named(self._path):
            return self._connection.execute(query, _storable(values or {})).fetchall()

    def find(self, condition: str, values: dict[str, object]) -> Job | None:
        """Return the first job that meets a condition, which may have an order."""
        rows = self.select(f"SELECT * FROM jobs WHERE {condition} LIMIT 1", values)  # noqa: S608  # text of this package
        return job_of(rows[0]) if rows else None

    def count(self, condition: str, values: dict[str, object] | None = None) -> int:
        """Return the number of jobs that meet a condition."""
        return int(self.select(f"SELECT count(*) FROM jobs WHERE {condition}", values)[0][0])  # noqa: S608

    def update(self, condition: str, assignments: str, values: dict[str, object]) -> int:
        """Change the jobs that meet a condition, increment their version, and return how many there are."""
        statement = f"UPDATE jobs SET version = version + 1, {assignments} WHERE {condition}"  # noqa: S608
        return self.execute(statement, values)

    def execute(self, statement: str, values: dict[str, object]) -> int:
        """Execute a statement with named values, and return how many rows it changed.

        Raises:
            StorageError: the file cannot be written.
        """
        with self._lock, JOBS.errors_named(self._path):
            return self._connection.execute(statement, _storable(values)).rowcount


def _storable(values: dict[str, object]) -> dict[str, object]:
    """Return values whose text has no lone surrogates, which SQLite does not store."""
    return {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}
