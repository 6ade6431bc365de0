"""Read recordings of TAU's evaluation set: files in `audio/` and `video/` that have the same name, without labels."""

import logging
from collections import defaultdict
from pathlib import Path, PurePosixPath

from avscene.datasets.dataset import DataSet, is_media
from avscene.datasets.tau.layout import MEDIA_FOLDERS, media_files
from avscene.errors import DataError
from avscene.records import Example

logger = logging.getLogger(__name__)


def is_tau_evaluation(path: Path) -> bool:
    """Return whether `path` is a directory with media in folders `audio` and `video`, some folders down at most."""
    return path.is_dir() and set(MEDIA_FOLDERS) <= {name.partition("/")[0] for name in _media(path)}


def read_tau_evaluation(path: Path) -> DataSet:
    """Read the recordings in the folders `audio` and `video`; `audio/7.wav` and `video/7.mp4` are one recording.

    Of a recording without a partner, which a message counts, the audio or the video is there.

    Raises:
        DataError: two files of one folder have the same name without the ending.
    """
    pairs: dict[str, dict[str, tuple[str, Path]]] = defaultdict(dict)
    for name, file in sorted(_media(path).items()):
        kind = name.partition("/")[0]
        earlier = pairs[PurePosixPath(name).stem].setdefault(kind, (name, file))
        if earlier[0] != name:
            raise DataError(f"{path}: {earlier[0]} and {name} would be one recording; rename one of them")
    alone = [named for named in pairs.values() if len(named) == 1]
    if alone:
        (first, _), *_ = alone[0].values()
        logger.warning(
            f"{path}: {len(alone)} of {len(pairs)} recordings have audio or video only; the first is {first}"
        )
    return DataSet(path, tuple(_example(named) for named in pairs.values()))


def _media(path: Path) -> dict[str, Path]:
    return {name: file for name, file in media_files(path).items() if is_media(name) and not file.name.startswith(".")}


def _example(named: dict[str, tuple[str, Path]]) -> Example:
    name, file = named.get("video") or named["audio"]
    audio = named["audio"][1] if len(named) == len(MEDIA_FOLDERS) else None
    return Example(name, file, "", name, audio=audio)
