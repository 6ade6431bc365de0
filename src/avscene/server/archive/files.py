"""Find files of results: one that is named, or all below a directory."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import UsageError
from avscene.files import did_you_mean_path

LINES = (".jsonl", ".ndjson")
DOCUMENT = ".json"
SUFFIXES = (*LINES, DOCUMENT)
_EXAMPLE = "avscene classify PATH... --output results.jsonl"


@dataclass(frozen=True, slots=True)
class ResultsFile:
    """A file of results in a certain state: its size in bytes and its modification time in nanoseconds."""

    path: Path
    size: int
    modified: int

    @property
    def has_lines(self) -> bool:
        """Whether each line is a result; otherwise the file is one JSON document."""
        return self.path.suffix.lower() in LINES


def check_results(results: Path) -> None:
    """Check that results can be read from a path.

    Raises:
        UsageError: there is nothing, it cannot be read, or it has another format.
    """
    try:
        mode = results.stat().st_mode
        if stat.S_ISDIR(mode):
            next(results.iterdir(), None)
            return
        if not stat.S_ISREG(mode):
            raise UsageError(f"{results}: is neither a file nor a directory; try: --results results.jsonl")
        results.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{results}: does not exist{did_you_mean_path(str(results)) or f'; try: {_EXAMPLE}'}"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{results}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if results.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{results}: whole results are read from {', '.join(SUFFIXES)} only, as other formats have a part of them; "
            f"try: {_EXAMPLE}"
        )


def results_files(results: Path) -> list[ResultsFile]:
    """Return the files of results at a path, the one that was written last at the end; hidden files are left out."""
    found = [_state(path) for path in (_below(results) if results.is_dir() else [results])]
    return sorted(filter(None, found), key=lambda file: (file.modified, file.path))


def _below(directory: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (
            Path(folder, name) for name in names if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        )


def _state(path: Path) -> ResultsFile | None:
    try:
        found = path.stat()
    except OSError:  # it was removed or renamed meanwhile
        return None
    return ResultsFile(path, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None
