"""Write JSON lines to a file that is readable while it grows and that the next run continues."""

import contextlib
import io
import os
import time
from pathlib import Path

from avscene.cli.output.files import is_folder, not_writable, partial_path
from avscene.errors import UsageError
from avscene.files import link_target, rename_durably
from avscene.inference.journal import Journal
from avscene.inference.journal.database import PARTIAL_OUTPUT

SYNC_SECONDS = 2.0  # the journal is synced more often: it is what a run continues from
_CHUNK = 2**20  # bytes


class JsonLinesFile:
    """The lines of a run, in the file `path` or, while that holds other results, in `NAME.partial` beside it.

    Lines that an interrupted run left are kept as long as they equal those that are written; the file is cut off at the
    first difference. `journal` knows whether `path` is such a file.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path, journal: Journal) -> None:
        if is_folder(path):
            raise UsageError(f"{path}: is a folder; give the name of a file")
        self._path = link_target(path)  # so that a link is kept and its target replaced
        self._journal = journal
        self.n_lines = 0
        self._written = 0  # bytes of complete lines
        self._compares = True  # whether what follows in the file may equal what is written next
        self._last_sync = time.monotonic()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self.replaces = not self._is_ours()
            self._target = partial_path(self._path) if self.replaces else self._path
            self._file = io.FileIO(os.open(self._target, os.O_RDWR | os.O_CREAT, 0o666), "r+")
            if not self.replaces:
                journal.set_note(PARTIAL_OUTPUT, self._inode())
        except OSError as error:
            raise not_writable(path, error) from error

    def write(self, line: str) -> None:
        """Write a line, unless it is there already.

        Raises:
            UsageError: the file cannot be written.
        """
        content = line.encode()
        try:
            if self._compares and self._file.read(len(content)) != content:
                self._compares = False
                self._file.seek(self._written)
                self._file.truncate()
            if not self._compares:
                self._write(content)
            self._written += len(content)
            self.n_lines += 1
            if time.monotonic() - self._last_sync >= SYNC_SECONDS:
                self._sync()
        except OSError as error:
            raise self._not_writable(error) from error

    def finish(self) -> None:
        """Give the complete file its name."""
        try:
            self._file.truncate(self._written)
            self._sync()
            if self.replaces:
                self._file.close()
                rename_durably(self._target, self._path)
            self._journal.set_note(PARTIAL_OUTPUT, None)
        except OSError as error:
            raise self._not_writable(error) from error

    def close(self) -> None:
        """Close the file; count the lines that were not compared, which an earlier run left."""
        with contextlib.suppress(OSError, ValueError):
            if self._compares:
                while chunk := self._file.read(_CHUNK):
                    self.n_lines += chunk.count(b"\n")
        with contextlib.suppress(OSError):
            self._file.close()

    def _is_ours(self) -> bool:
        """Whether the output is missing or empty, or is what an interrupted run left."""
        if not self._path.exists() or not self._path.stat().st_size:
            return True
        found = self._path.stat()
        return self._journal.note(PARTIAL_OUTPUT) == f"{found.st_dev} {found.st_ino}"

    def _inode(self) -> str:
        found = os.fstat(self._file.fileno())
        return f"{found.st_dev} {found.st_ino}"

    def _write(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:  # a nearly full disk takes a part without an error
            rest = rest[self._file.write(rest) :]

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        found = self._target.stat()
        if f"{found.st_dev} {found.st_ino}" != self._inode():
            raise UsageError(f"{self._target}: was replaced during the run; run the same command again to continue")
        self._last_sync = time.monotonic()

    def _not_writable(self, error: OSError) -> UsageError:
        reason = error.strerror or error
        return UsageError(
            f"{self._target}: cannot be written ({reason}); once it can, run the same command again to continue"
        )
