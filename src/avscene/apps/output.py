"""Where results go: standard output, or files that appear complete."""

import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO

from avscene.errors import UsageError


class Sink:
    """Text to standard output or, through a temporary file beside it, to `path`.

    The file takes its name when the block ends, after an interruption too: what was finished is kept. After any other
    error nothing is left.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[str] = sys.stdout
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # closed in __exit__
                "w",
                encoding="utf-8",
                errors="surrogateescape",
                newline="",
                prefix=f".{path.name}.",
                dir=path.parent,
                delete=False,
            )
        except OSError as error:
            raise UsageError(f"{path}: cannot be written ({error.strerror})") from error
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; name a file")

    def __enter__(self) -> "Sink":
        return self

    def write(self, text: str) -> None:
        """Write and flush."""
        self._file.write(text)
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        self._file.close()
        partial = Path(self._file.name)
        if kind is None or issubclass(kind, KeyboardInterrupt):
            partial.chmod(0o644)
            partial.replace(self._path)
        else:
            partial.unlink(missing_ok=True)
