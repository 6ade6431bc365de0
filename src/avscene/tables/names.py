"""Parse file names: their variants without folders and ending, and scene, city and location in TAU's names."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

SceneCity = tuple[str, str]  # scene, city

# After the number of the recording, names may have that of a part and the device: airport-lisbon-1175-44106-0-a.
TAU_NAME = re.compile(r"(?P<scene>.+)-(?P<city>[^-\d]+)-(?P<location>\d+)-\d+(-\d+)?(_\w+|-(?P<device>\w+))?")


class TauName(NamedTuple):
    """Scene, city, location and device, such as `a`, in the name of a TAU recording; the device may be empty."""

    scene: str
    city: str
    location: str
    device: str

    @property
    def group(self) -> str:
        """City and number of the location: numbers are unique in one data set, but not in all of TAU's."""
        return f"{self.city}-{self.location}"


def parse_tau_name(name: str) -> TauName | None:
    """Parse a name like `audio/airport-lisbon-1175-44106.wav`: scene, city, location, number; None for other names."""
    match = TAU_NAME.fullmatch(stem(name))
    return TauName(match["scene"], match["city"], match["location"], match["device"] or "") if match else None


def name_variants(name: str) -> tuple[str, str, str]:
    """Return `name` as written, without folders, and also without its ending: the most specific first."""
    path = _path(name)
    return str(path), path.name, path.stem


def stem(name: str) -> str:
    """Return `name` without folders and ending."""
    return _path(name).stem


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))
