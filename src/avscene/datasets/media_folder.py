"""Find the media files in a folder and in the folders below it."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from avscene.datasets.dataset import is_media
from avscene.errors import MediaError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundMedia:
    """What a search found, in no order.

    `paths` are media files, with links to files that do not exist: opening one raises the error. `folders` are all
    folders that were searched. `unreadable` has an error for each folder that cannot be read. `links` are links to
    folders, which are not followed: they may lead in circles, or out of the folder.
    """

    paths: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    unreadable: dict[str, MediaError] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)


def find_media(folder: str | Path) -> FoundMedia:
    """Search a folder at any depth for media files; log a warning about links to folders.

    Hidden files and folders are left out, such as `._a.mp4` that macOS writes, and pipes, sockets and devices.
    """
    found = FoundMedia()
    for item in walk_media(folder, found):
        if isinstance(item, tuple):
            found.unreadable[item[0]] = item[1]
        else:
            found.paths.append(item)
    return found


def walk_media(
    folder: str | Path, found: FoundMedia | None = None, ignored: Counter[str] | None = None
) -> Iterator[str | tuple[str, MediaError]]:
    """Yield the media files that `find_media` returns, sorted, and the folders that cannot be read with their errors.

    Memory does not grow with their number, but with that of the entries of one folder. Folders and links are added to
    `found`, and other files that are not hidden are counted in `ignored`, by their suffix.
    """
    ignored = Counter() if ignored is None else ignored
    links: list[str] = []
    pending: list[Iterator[tuple[str, str]]] = [iter([(str(Path(folder)), _FOLDER)])]
    while pending:
        path, kind = next(pending[-1], (None, None))
        if path is None:
            pending.pop()
        elif kind == _FILE:
            yield path
        else:
            try:
                entries = _entries(path, links, ignored)
            except OSError as error:
                yield path, MediaError(f"{path}: folder cannot be read ({error.strerror or error})")
            else:
                if found is not None:
                    found.folders.append(path)
                pending.append(iter(entries))
    if found is not None:
        found.links.extend(links)
    if links:
        logger.warning(f"{folder}: links to folders are not followed: {min(links)}, {len(links)} in all")


def _entries(folder: str, links: list[str], ignored: Counter[str]) -> list[tuple[str, str]]:
    """Return the media files and folders in a folder, sorted as all paths below it are; add links to folders."""
    with os.scandir(folder) as entries:
        found = [(entry.path.removeprefix("./"), _kind(entry)) for entry in entries if not entry.name.startswith(".")]
    links += [path for path, kind in found if kind == _LINK]
    ignored.update(_suffix(path) for path, kind in found if kind == _OTHER)
    kept = [(path, kind) for path, kind in found if kind in (_FILE, _FOLDER)]
    return sorted(kept, key=lambda item: item[0] + "/" if item[1] == _FOLDER else item[0])


def only_media(names: Iterable[str], ignored: Counter[str]) -> Iterator[str]:
    """Yield the names of media files; count the others in `ignored`, by their suffix."""
    for name in names:
        if is_media(name):
            yield name
        else:
            ignored[_suffix(name)] += 1


def _suffix(name: str) -> str:
    """Return the suffix of a file in small letters; "other" for none, and for a long one, which is no kind of file."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # of 100,000 names
    return suffix if 1 < len(suffix) <= _LONGEST_SUFFIX else "other"


_LONGEST_SUFFIX = 6
_FILE, _FOLDER, _LINK, _OTHER = "file", "folder", "link to a folder", "other"


def _kind(entry: os.DirEntry[str]) -> str:
    """Return what an entry of a folder is; only links are looked up on disk."""
    if entry.is_dir(follow_symlinks=False):
        return _FOLDER
    path = entry.path
    if entry.is_symlink() and os.path.isdir(path):  # noqa: PTH112  # never raises
        return _LINK
    if is_media(entry.name) and (
        entry.is_file(follow_symlinks=False)
        or (entry.is_symlink() and (os.path.isfile(path) or not os.path.exists(path)))  # noqa: PTH110, PTH113
    ):
        return _FILE
    return _OTHER
