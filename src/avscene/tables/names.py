"""File names to what they say: spellings under which one recording is known, and the place in a name like TAU's."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

PLACE = re.compile(r"(?P<scene>.+)-(?P<city>[^-\d]+)-(?P<location>\d+)-\d+([-_]\w+)?")


SceneCity = tuple[str, str]  # scene, city


class Place(NamedTuple):
    """Where a recording was made, as its name tells."""

    scene: str
    city: str
    location: str


def tau_place(name: str) -> Place | None:
    """The place in a name like `audio/airport-lisbon-1175-44106.wav`: scene, city, location, clip; None in others."""
    match = PLACE.fullmatch(stem(name))
    return Place(match["scene"], match["city"], match["location"]) if match else None


def spellings(name: str) -> tuple[str, str, str]:
    """`name` as written, without folders, and without its ending: most telling first."""
    path = _path(name)
    return str(path), path.name, path.stem


def stem(name: str) -> str:
    """`name` without folders and ending."""
    return _path(name).stem


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))
