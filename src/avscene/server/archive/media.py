"""Find the media file of a result on this machine, and where its preview is kept."""

import hashlib
import os
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from avscene.datasets.dataset import is_media
from avscene.storage.urls import is_remote, local_path

MAX_PREVIEWS = 1000  # of an archive; the oldest are removed


def media_path(source: str, directories: Sequence[Path]) -> Path | None:
    """Return the regular file that a result names; None if it is not here, is no media file, or the source is a URL.

    Results may come from others: without a suffix of media files, they could name any file of this machine.

    Args:
        source: path of the recording, as `classify` wrote it.
        directories: where a relative path is looked up, one after the other.
    """
    if is_remote(source):
        return None
    path = os.fspath(local_path(source))
    if not is_media(path):
        return None
    for directory in directories:
        found = directory / path  # an absolute path stays as it is
        with suppress(OSError, ValueError):
            if stat.S_ISREG(found.stat().st_mode):
                return found
    return None


def preview_directory(root: Path, media: Path) -> Path:
    """Return the directory of the preview of a media file in its present state, which is made if need be.

    Raises:
        OSError: it cannot be made, or the media file is gone.
    """
    found = media.stat()
    key = b"\0".join((os.fsencode(media), b"%d" % found.st_size, b"%d" % found.st_mtime_ns))
    directory = root / hashlib.sha256(key).hexdigest()[:32]
    if not directory.exists():
        _remove_oldest(root)
        directory.mkdir(parents=True, exist_ok=True)
    return directory


def _remove_oldest(root: Path) -> None:
    with suppress(OSError):
        directories = sorted(root.iterdir(), key=lambda path: path.stat().st_mtime)
        for directory in directories[: len(directories) - MAX_PREVIEWS + 1]:
            shutil.rmtree(directory, ignore_errors=True)
