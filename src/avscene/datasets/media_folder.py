"""Find the media files in a folder and in the folders below it."""

import logging
import os
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
    pending = [str(Path(folder))]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        _sort_in(entry, found, pending)
        except OSError as error:
            found.unreadable[current] = MediaError(f"{current}: folder cannot be read ({error.strerror or error})")
        else:
            found.folders.append(current)
    if found.links:
        logger.warning(f"{folder}: links to folders are not followed: {min(found.links)}, {len(found.links)} in all")
    return found


def _sort_in(entry: os.DirEntry[str], found: FoundMedia, pending: list[str]) -> None:
    """Add an entry of a folder to what was found, or to the folders to search; only links are looked up on disk."""
    path = entry.path.removeprefix("./")  # which scandir(".") adds
    if entry.is_dir(follow_symlinks=False):
        pending.append(path)
    elif entry.is_symlink() and os.path.isdir(path):  # noqa: PTH112  # never raises
        found.links.append(path)
    elif is_media(entry.name) and (
        entry.is_file(follow_symlinks=False)
        or (entry.is_symlink() and (os.path.isfile(path) or not os.path.exists(path)))  # noqa: PTH110, PTH113
    ):
        found.paths.append(path)
