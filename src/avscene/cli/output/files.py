"""Write text to standard output or to files that appear complete."""

import contextlib
import io
import json
import sys
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from avscene.errors import UsageError
from avscene.files import create_beside, link_target

CONTINUES = "run the same command again to continue"
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, separators of lines and paragraphs


class TextOutput:
    """A context manager that writes text to standard output (`path` is None) or to the file `path`.

    A file is written under a temporary name beside `path` and renamed when the block ends. After an error or an
    interruption, or without any text, an earlier file stays. A device or pipe is written to directly. With
    `one_writer` the temporary name is `NAME.partial`, so that the next run overwrites what a killed one left.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path | None, *, one_writer: bool = False) -> None:
        self._path = path
        self._one_writer = one_writer
        self._partial: Path | None = None
        self._written = False
        if path is None:
            self._file: IO[str] = sys.stdout
            _accept_any_name(sys.stdout)
            return
        try:
            if is_folder(path):
                raise UsageError(f"{path}: is a folder; give the name of a file")
            self._file = self._open(path)
        except OSError as error:
            raise self._not_writable(error) from error

    def _open(self, path: Path) -> IO[str]:
        if path.exists() and not path.is_file():
            return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
        self._path = path = link_target(path)  # so that a link is kept and its target replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = partial_path(path) if self._one_writer else create_beside(path)
        return self._partial.open("w", encoding="utf-8", errors="surrogateescape", newline="")

    def __enter__(self) -> "TextOutput":
        return self

    def write(self, text: str) -> None:
        """Write and flush."""
        try:
            self._file.write(text)
            self._file.flush()
        except BrokenPipeError:
            raise  # the reader of a pipe has ended; `main` handles it
        except OSError as error:
            raise self._not_writable(error) from error
        self._written = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):  # every text was flushed, and a full disk was reported then
            self._file.close()
        if self._partial is None:
            return
        try:
            if self._written and kind is None:
                self._partial.chmod(0o644)
                self._partial.replace(self._path)
        except OSError as reason:
            raise self._not_writable(reason) from reason
        finally:
            with contextlib.suppress(OSError):  # it was renamed, or its folder is gone
                self._partial.unlink()

    def _not_writable(self, error: OSError) -> UsageError:
        return not_writable(self._path or "standard output", error)


def partial_path(path: Path) -> Path:
    """Return the name under which a run that no other run disturbs writes `path` until it is complete."""
    return path.with_name(path.name + ".partial")


def not_writable(path: Path | str, error: OSError) -> UsageError:
    """Return the error of an output that cannot be written."""
    return UsageError(f"{path}: cannot be written ({error.strerror})")


def write_json(path: Path, content: Any) -> None:
    """Write plain values as indented JSON.

    Raises:
        UsageError: the file cannot be written.
    """
    with TextOutput(path) as out:
        out.write(json.dumps(content, indent=2, allow_nan=False) + "\n")


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder; False for a name that the system cannot look up."""
    try:
        return path.is_dir()
    except OSError:
        return False


def printable(text: str) -> str:
    """Return `text` with control characters escaped: file names may contain line breaks and escape sequences."""
    return "".join(
        repr(character)[1:-1] if unicodedata.category(character) in _UNPRINTABLE else character for character in text
    )


def _accept_any_name(stream: IO[str]) -> None:
    """Print file names that are not UTF-8, and characters that the terminal lacks, in another form."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")
