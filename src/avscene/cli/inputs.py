"""Expand command-line paths (files, folders, globs, lists) to media files."""

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from avscene.datasets.dataset import is_media
from avscene.errors import MediaError
from avscene.records import Failure

STDIN = "-"


def expand(arguments: Sequence[str]) -> list[str | Failure]:
    """Return media files in the order given: files as they are, folders and globs searched, lists (`-`, `.txt`) read.

    Paths in a list are relative to the working directory. An argument without media files becomes a failure.
    """
    inputs: list[str | Failure] = []
    for argument in arguments:
        try:
            inputs += _files(argument)
        except MediaError as error:
            inputs.append(Failure(argument, error))
        except OSError:
            inputs.append(argument)  # a name too long, or not readable: opening it raises the error
    return inputs


def _files(argument: str) -> list[str]:
    path = Path(argument)
    if argument == STDIN:
        return _read_list("standard input", sys.stdin.buffer.read())
    if path.is_dir():
        return _require_any(_in_folder(path), f"{argument}: no media files in this folder")
    if path.suffix.lower() == ".txt" and path.is_file():
        return _read_list(argument, path.read_bytes())
    if not path.exists() and glob.has_magic(argument):
        matches = sorted(match for match in glob.glob(argument, recursive=True) if Path(match).is_file())  # noqa: PTH207  # keeps the path as typed
        return _require_any(matches, f"{argument}: no matching file")
    return [argument]


def _in_folder(folder: Path) -> list[str]:
    """Return media files at any depth except hidden files, such as `._a.mp4` that macOS writes."""
    found = (path for path in folder.rglob("*") if is_media(path) and path.is_file())
    return sorted(str(path) for path in found if not _is_hidden(path.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _read_list(name: str, content: bytes) -> list[str]:
    if b"\0" in content:
        raise MediaError(f"{name}: not a list of paths, one per line")
    lines = content.decode("utf-8-sig", errors="surrogateescape").split("\n")
    return _require_any(list(_paths(lines)), f"{name}: the list has no paths")


def _paths(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if path := line.strip():
            yield path


def _require_any(paths: list[str], problem: str) -> list[str]:
    if not paths:
        raise MediaError(problem)
    return paths
