"""Read recordings without labels: the media files in a folder, or a list of paths."""

from collections.abc import Iterator
from pathlib import Path

from avscene.datasets.dataset import DataSet, is_media
from avscene.datasets.media_folder import find_media
from avscene.errors import DataError
from avscene.files import read_text
from avscene.records import Example
from avscene.storage.urls import is_remote, local_path, shown

LIST_SUFFIX = ".txt"


def is_path_list(path: Path) -> bool:
    """Return whether `path` is a file whose name is that of a list of paths."""
    return path.suffix.lower() == LIST_SUFFIX and path.is_file()


def read_path_list(path: Path) -> DataSet:
    """Read a list with a path or URL on each line; paths are relative to the working directory, as for `classify`.

    Raises:
        DataError: the list cannot be read, a file is not found or listed twice, or there is none.
    """
    line_of: dict[str, int] = {}
    examples = []
    for line, location in _lines(path):
        name = shown(location)
        if name in line_of:
            raise DataError(f"{path}, line {line}: {name} is already on line {line_of[name]}")
        line_of[name] = line
        media = location if is_remote(location) else Path(location)
        if isinstance(media, Path) and not media.is_file():
            raise DataError(f"{path}, line {line}: {name}: file not found")
        examples.append(Example(name, media, "", name))
    return DataSet(path, tuple(examples))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if text.strip():
            yield line, str(local_path(text.strip()))


def is_media_folder(path: Path) -> bool:
    """Return whether `path` is a folder of media files in which no folder could be a class."""
    if not path.is_dir():
        return False
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    return any(is_media(entry.name) for entry in entries) and not any(entry.is_dir() for entry in entries)


def read_media_folder(root: Path) -> DataSet:
    """Read all media files in a folder, at any depth, as recordings without labels.

    Raises:
        DataError: there is none, or a folder cannot be read.
    """
    found = find_media(root)
    for error in found.unreadable.values():
        raise DataError(str(error))
    if not found.paths:
        raise DataError(f"{root}: no media files in this folder")
    names = {path.relative_to(root).as_posix(): path for path in sorted(map(Path, found.paths))}
    return DataSet(root, tuple(Example(name, path, "", name) for name, path in names.items()))
