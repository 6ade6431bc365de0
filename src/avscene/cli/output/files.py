"""Where results go: standard output, or files that appear complete."""

import contextlib
import io
import sys
import unicodedata
from pathlib import Path
from types import TracebackType
from typing import IO

from avscene.errors import UsageError
from avscene.files import create_beside

_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, separators of lines and paragraphs


class Sink:
    """Text to standard output or, through a temporary file beside it, to `path`.

    The file takes its name when the block ends, after an interruption too: what was finished is kept. After any other
    error, or where no text came, nothing is left. A device or pipe is written to as it is.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._partial: Path | None = None
        self._written = False
        self._file: IO[str] = sys.stdout
        if path is None:
            _let_through_any_name(sys.stdout)
            return
        try:
            if is_folder(path):
                raise UsageError(f"{path}: is a folder; name a file")
            self._file = self._opened(path)
        except OSError as error:
            raise self._refusal(error) from error

    def _opened(self, path: Path) -> IO[str]:
        if path.exists() and not path.is_file():
            return path.open("w", encoding="utf-8", errors="surrogateescape", newline="")
        self._path = path = path.resolve()  # a link stays one
        path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = create_beside(path)
        return self._partial.open("w", encoding="utf-8", errors="surrogateescape", newline="")

    def __enter__(self) -> "Sink":
        return self

    def write(self, text: str) -> None:
        """Write and flush."""
        try:
            self._file.write(text)
            self._file.flush()
        except BrokenPipeError:
            raise  # the reader of standard output has left, which is no fault of anybody's
        except OSError as error:
            raise self._refusal(error) from error
        self._written = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):  # every text was flushed; what a full disk did not take was told
            self._file.close()
        if self._partial is None:
            return
        if self._written and (kind is None or issubclass(kind, KeyboardInterrupt)):
            self._partial.chmod(0o644)
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def _refusal(self, error: OSError) -> UsageError:
        return UsageError(f"{self._path or 'standard output'}: cannot be written ({error.strerror})")


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder; of a name that the system cannot even look up it is not."""
    try:
        return path.is_dir()
    except OSError:
        return False


def printable(text: str) -> str:
    """`text` on one line that no terminal acts upon: a file name may hold a line break or an escape sequence."""
    return "".join(
        repr(character)[1:-1] if unicodedata.category(character) in _UNPRINTABLE else character for character in text
    )


def _let_through_any_name(stream: IO[str]) -> None:
    """Have a file name that is no UTF-8, or a block that the terminal lacks, printed somehow rather than raise."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="surrogateescape" if stream.encoding.lower() == "utf-8" else "backslashreplace")
