"""Open SQLite files of one kind: recognise them, write their tables, and raise errors that name the file."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import AvsceneError, DataError, UsageError

_SQLITE_HEADER = b"SQLite format 3\0"
_FULL, _CORRUPT, _NOT_A_DATABASE, _BUSY = 13, 11, 26, 5  # primary result codes of SQLite


@dataclass(frozen=True, slots=True)
class DatabaseKind:
    """How files of one kind are recognised, and how errors name them.

    Attributes:
        name: In errors, such as "journal".
        application_id: In the header of the file, where SQLite keeps it, and
        version: of the tables too.
        schema: Statements that make the tables.
        fix: What to do about a file that is damaged or of another version.
        busy: Problem if another process has the file open.
        retry: What to do about a file that cannot be written; empty if nothing.
        error: Class of the error if it cannot be written.
    """

    name: str
    application_id: int
    version: int
    schema: str
    fix: str
    busy: str
    retry: str = ""
    error: type[AvsceneError] = UsageError

    @contextmanager
    def errors_named(self, path: Path) -> Iterator[None]:
        """Raise errors of SQLite and of the system as errors with the name of the file and what to do.

        Raises:
            AvsceneError: it cannot be written; of the class `error`.
            DataError: it is damaged.
            UsageError: another process has it open.
        """
        try:
            yield
        except OSError as error:
            raise self.error(f"{path}: cannot be written ({error.strerror})") from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code; the rest is detail
            if code == _BUSY:
                raise UsageError(f"{path}: {self.busy}") from error
            if code in (_CORRUPT, _NOT_A_DATABASE):
                raise self.damaged(path, str(error)) from error
            reason = "No space left on device" if code == _FULL else str(error)
            raise self.error(f"{path}: cannot be written ({reason}){self.retry and f'; {self.retry}'}") from error

    def damaged(self, path: Path, reason: str) -> DataError:
        """Return the error of a file that cannot be read."""
        return DataError(f"{path}: the {self.name} is damaged ({' '.join(reason.split())}); fix: {self.fix}")

    def prepare(self, path: Path) -> None:
        """Check that the file can be written and is a SQLite file; make it, and its folder, if need be.

        Raises:
            DataError: it is something else.
            OSError: it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: is not a {self.name} but a folder or a device; fix: rename it")
        with path.open("a+b") as file:
            file.seek(0)
            header = file.read(len(_SQLITE_HEADER))
        if header and header != _SQLITE_HEADER:
            raise DataError(f"{path}: is not a {self.name} of avscene, or damaged; fix: rename or remove it")

    def set_up(self, path: Path, connection: sqlite3.Connection) -> None:
        """Check the tables, or write them into a new file.

        Raises:
            DataError: the file is damaged, another database, or of another version.
            sqlite3.Error: it cannot be read or written.
        """
        application, version = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        if not application and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            header = f"PRAGMA application_id = {self.application_id}; PRAGMA user_version = {self.version};"
            connection.executescript(f"BEGIN; {header} {self.schema} COMMIT;")
            return
        if application != self.application_id:
            raise DataError(f"{path}: is not a {self.name} of avscene but another database; fix: rename it")
        if version != self.version:
            raise DataError(
                f"{path}: is a {self.name} of version {version}, not {self.version}, so of another version of avscene; "
                f"fix: {self.fix}"
            )
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise self.damaged(path, problem)
