"""Plan a toytown data set: its recordings with scenes, locations, split and degrees of confusion, and its tables.

Audio confuses the scenes of one set of pairs, video those of another: by one modality alone a scene is hard to tell
from its neighbour, by both it is not. The content of each recording is blended with that of its neighbours by random
shares. So the recordings are ambiguous, and their labels are right.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from avscene.errors import DataError
from avscene.labels import TAU_SCENES
from avscene.records import FloatArray

# The two sets of pairs form one ring through all ten scenes: every scene has one neighbour by audio and another by
# video, and no two scenes share both.
AUDIO_PAIRS = (
    ("bus", "tram"),
    ("metro", "metro_station"),
    ("airport", "shopping_mall"),
    ("street_pedestrian", "park"),
    ("public_square", "street_traffic"),
)
VIDEO_PAIRS = (
    ("tram", "metro"),
    ("metro_station", "airport"),
    ("shopping_mall", "street_pedestrian"),
    ("park", "public_square"),
    ("street_traffic", "bus"),
)
# The largest share of the neighbour in a recording: at 0 it is the scene itself, at 0.5 halfway. Differences between
# locations add to the overlap, so that one modality alone is right in about three of four seconds.
MAX_AUDIO_SHARE, MAX_VIDEO_SHARE = 0.55, 0.55
CITIES = (
    "barcelona",
    "helsinki",
    "lisbon",
    "london",
    "lyon",
    "milan",
    "paris",
    "prague",
    "stockholm",
    "vienna",
)
FORMAT = 1  # raised when the same settings give other files
TEST_STEP = 3  # every third location of a scene is for testing


@dataclass(frozen=True, slots=True)
class Settings:
    """All that determines the content of the data set.

    Raises:
        DataError: a number is too small.
    """

    locations_per_scene: int
    recordings_per_location: int
    seconds: int
    seed: int
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.locations_per_scene < 2:
            raise DataError("toytown needs at least 2 locations per scene: one to train on, one to test on")
        if self.recordings_per_location < 1 or self.seconds < 1 or self.seed < 0:
            raise DataError("toytown needs at least 1 recording per location, 1 second and a seed of 0 or more")


@dataclass(frozen=True, slots=True)
class PlannedRecording:
    """A recording to render; `audio_share` and `video_share` are the shares of the neighbours in it."""

    scene: str
    city: str
    location: int
    segment: int
    test: bool
    audio_share: float
    video_share: float

    @property
    def identifier(self) -> str:
        """The group: all recordings of a location share it."""
        return f"{self.city}-{self.location}"

    @property
    def audio(self) -> str:
        """Path of the audio file in the data set."""
        return f"audio/{self.scene}-{self.identifier}-{self.segment}.wav"

    @property
    def video(self) -> str:
        """Path of the video file in the data set."""
        return f"video/{self.scene}-{self.identifier}-{self.segment}.mp4"


def seeded_generator(seed: int, *names: str | int) -> Generator:
    """Return a random generator that depends only on the seed and the names: other names give other content."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def plan_recordings(settings: Settings) -> list[PlannedRecording]:
    """Return all recordings of the data set."""
    locations = [(scene, index) for scene in TAU_SCENES for index in range(settings.locations_per_scene)]
    return [recording for location in locations for recording in _recordings_at(settings, *location)]


def _recordings_at(settings: Settings, scene: str, index: int) -> Iterable[PlannedRecording]:
    """The recordings at the `index`-th location of `scene`."""
    row, count = TAU_SCENES.index(scene), settings.recordings_per_location
    location = 1 + row * settings.locations_per_scene + index
    random = seeded_generator(settings.seed, "plan", location)
    test = index % TEST_STEP == TEST_STEP - 1 or (settings.locations_per_scene == 2 and index == 1)
    city = CITIES[(row + index * 3) % len(CITIES)]
    shares = zip(_shares(count, MAX_AUDIO_SHARE, random), _shares(count, MAX_VIDEO_SHARE, random), strict=True)
    for number, (audio, video) in enumerate(shares, start=1):
        segment = (location - 1) * count + number
        yield PlannedRecording(scene, city, location, segment, test, float(audio), float(video))


def _shares(count: int, largest: float, random: Generator) -> FloatArray:
    """(count,) shares that cover [0, largest] evenly, in random order: each location has clear and ambiguous ones."""
    return largest * (random.permutation(count) + random.random(count)) / count


def neighbour(scene: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return the other scene of the pair that has `scene`."""
    return next(b if scene == a else a for a, b in pairs if scene in (a, b))


def tables(plan: list[PlannedRecording]) -> dict[str, str]:
    """Return the text of every table by its path, with TAU's columns."""
    media, label = ("filename_audio", "filename_video"), "scene_label"
    test = [recording for recording in plan if recording.test]
    labelled = {
        "train": [recording for recording in plan if not recording.test],
        "evaluate": test,
    }
    texts = {
        f"evaluation_setup/fold1_{part}.csv": _table((*media, label), ((r.audio, r.video, r.scene) for r in rows))
        for part, rows in labelled.items()
    }
    texts["evaluation_setup/fold1_test.csv"] = _table(media, ((r.audio, r.video) for r in test))
    texts["meta.csv"] = _table((*media, label, "identifier"), ((r.audio, r.video, r.scene, r.identifier) for r in plan))
    return texts


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in [columns, *rows])
