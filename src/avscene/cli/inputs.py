"""What a user names on the command line to the media files that are meant."""

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from avscene.datasets.dataset import is_media
from avscene.errors import MediaError
from avscene.records import Failure

STDIN = "-"


def expand(arguments: Sequence[str]) -> list[str | Failure]:
    """Media files in the order given: files as they are, folders and globs searched, lists (`-`, `.txt`) read.

    Paths in a list are relative to the working directory. What leads to no file becomes a failure in its place.
    """
    found: list[str | Failure] = []
    for argument in arguments:
        try:
            found += _files(argument)
        except MediaError as error:
            found.append(Failure(argument, error))
        except OSError:
            found.append(argument)  # a name too long, a folder or list that may not be read: opening it says so
    return found


def _files(argument: str) -> list[str]:
    path = Path(argument)
    if argument == STDIN:
        return _listed("standard input", sys.stdin.buffer.read())
    if path.is_dir():
        return _required(_in_folder(path), f"{argument}: the folder holds no media files")
    if path.suffix.lower() == ".txt" and path.is_file():
        return _listed(argument, path.read_bytes())
    if not path.exists() and glob.has_magic(argument):
        matches = sorted(match for match in glob.glob(argument, recursive=True) if Path(match).is_file())  # noqa: PTH207  # keeps the path as typed
        return _required(matches, f"{argument}: matches no file")
    return [argument]


def _in_folder(folder: Path) -> list[str]:
    """Media files at any depth, but for hidden ones: what a Mac leaves as `._a.mp4` is no film."""
    found = (path for path in folder.rglob("*") if is_media(path) and path.is_file())
    return sorted(str(path) for path in found if not _is_hidden(path.relative_to(folder)))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _listed(name: str, content: bytes) -> list[str]:
    if b"\0" in content:
        raise MediaError(f"{name}: is no list of paths, one on each line")
    lines = content.decode("utf-8-sig", errors="surrogateescape").split("\n")
    return _required(list(_paths(lines)), f"{name}: lists no paths")


def _paths(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if path := line.strip():
            yield path


def _required(paths: list[str], otherwise: str) -> list[str]:
    if not paths:
        raise MediaError(otherwise)
    return paths
