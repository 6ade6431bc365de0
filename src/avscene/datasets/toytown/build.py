"""A seed to a data set: ten scenes of a made-up town as real wav and mp4 files, in the layout of TAU.

Sound confuses the scenes of one set of pairs, picture those of another: by either alone a scene is hard to
tell from its neighbour, by both it is not. Each recording leans towards its neighbours by random amounts, so
the confusion is in what one hears and sees and not in the labels.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator

from avscene.datasets.toytown.audio import SILENT, SOUNDS, render_sound
from avscene.datasets.toytown.panorama import PICTURES
from avscene.datasets.toytown.synth import SAMPLE_RATE
from avscene.datasets.toytown.video import FPS, render_picture
from avscene.errors import DataError
from avscene.files import write_text
from avscene.labels import TAU_SCENES
from avscene.media.encode import write_mp4, write_wav
from avscene.progress import Progress
from avscene.records import FloatArray

# The two sets of pairs join into one ring through all ten scenes: every scene has one neighbour by sound and
# another by picture, and no two scenes share both.
SOUND_ALIKE = (
    ("bus", "tram"),
    ("metro", "metro_station"),
    ("airport", "shopping_mall"),
    ("street_pedestrian", "park"),
    ("public_square", "street_traffic"),
)
PICTURE_ALIKE = (
    ("tram", "metro"),
    ("metro_station", "airport"),
    ("shopping_mall", "street_pedestrian"),
    ("park", "public_square"),
    ("street_traffic", "bus"),
)
# The most that a recording leans: 0 is the scene itself, 1 its neighbour. Two neighbours meet at a half; what
# a location adds widens their overlap, so that one modality is right in about three of four seconds.
SOUND_LEAN, PICTURE_LEAN = 0.55, 0.55
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
MARKER = "toytown.json"
EVERY_THIRD = 3  # location of a scene is for testing


@dataclass(frozen=True, slots=True)
class _Settings:
    """What determines every byte of the data set."""

    locations_per_scene: int
    recordings_per_location: int
    seconds: int
    seed: int
    format: int = FORMAT

    def check(self) -> None:
        if self.locations_per_scene < 2:
            raise DataError("toytown needs at least 2 locations per scene: one to train on, one to test on")
        if self.recordings_per_location < 1 or self.seconds < 1 or self.seed < 0:
            raise DataError("toytown needs at least 1 recording per location, 1 second and a seed of 0 or more")


@dataclass(frozen=True, slots=True)
class _Recording:
    """One line of the data set."""

    scene: str
    city: str
    location: int
    segment: int
    test: bool
    sound_lean: float
    picture_lean: float

    @property
    def identifier(self) -> str:
        return f"{self.city}-{self.location}"

    @property
    def audio(self) -> str:
        return f"audio/{self.scene}-{self.identifier}-{self.segment}.wav"

    @property
    def video(self) -> str:
        return f"video/{self.scene}-{self.identifier}-{self.segment}.mp4"


def _random(seed: int, *names: str | int) -> Generator:
    """A generator that depends on the names and on nothing else."""
    return np.random.default_rng([seed, *(zlib.crc32(str(name).encode()) for name in names)])


def _leans(count: int, most: float, random: Generator) -> FloatArray:
    """(count,) leans that cover [0, most] evenly, in random order: clear and doubtful at each location."""
    return most * (random.permutation(count) + random.random(count)) / count


def _location(settings: _Settings, scene: str, index: int) -> Iterable[_Recording]:
    """The recordings of the `index`-th location of `scene`."""
    row, count = TAU_SCENES.index(scene), settings.recordings_per_location
    location = 1 + row * settings.locations_per_scene + index
    random = _random(settings.seed, "plan", location)
    test = index % EVERY_THIRD == EVERY_THIRD - 1 or (settings.locations_per_scene == 2 and index == 1)
    city = CITIES[(row + index * 3) % len(CITIES)]
    leans = zip(_leans(count, SOUND_LEAN, random), _leans(count, PICTURE_LEAN, random), strict=True)
    for take, (sound, picture) in enumerate(leans):
        yield _Recording(scene, city, location, (location - 1) * count + take + 1, test, float(sound), float(picture))


def _plan(settings: _Settings) -> list[_Recording]:
    places = [(scene, index) for scene in TAU_SCENES for index in range(settings.locations_per_scene)]
    return [recording for place in places for recording in _location(settings, *place)]


def _neighbour(scene: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The other of the pair that `scene` is in."""
    return next(b if scene == a else a for a, b in pairs if scene in (a, b))


def _blend(
    recipes: Mapping[str, Mapping[str, float]],
    pair: tuple[str, str],
    lean: float,
    absent: float,
) -> dict[str, float]:
    """The recipe `lean` of the way from one scene of `pair` to the other; `absent` where nothing is said."""
    own, other = (recipes[scene] for scene in pair)
    return {
        name: (1 - lean) * own.get(name, absent) + lean * other.get(name, absent) for name in own.keys() | other.keys()
    }


def _write_media(directory: Path, recording: _Recording, settings: _Settings) -> None:
    """Render and write the files of `recording` that are not there."""
    scene, seed = recording.scene, settings.seed
    audio, video = directory / recording.audio, directory / recording.video
    if not audio.exists():
        recipe = _blend(SOUNDS, (scene, _neighbour(scene, SOUND_ALIKE)), recording.sound_lean, absent=SILENT)
        place, take = _random(seed, "ear", recording.location), _random(seed, "sound", recording.segment)
        write_wav(audio, render_sound(recipe, settings.seconds, place, take), SAMPLE_RATE)
    if not video.exists():
        recipe = _blend(PICTURES, (scene, _neighbour(scene, PICTURE_ALIKE)), recording.picture_lean, absent=0)
        place, take = _random(seed, "eye", recording.location), _random(seed, "picture", recording.segment)
        write_mp4(video, render_picture(recipe, settings.seconds, place, take), FPS)


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in [columns, *rows])


def _tables(plan: list[_Recording]) -> dict[str, str]:
    """Text of every table by its path, in TAU's columns."""
    media, label = ("filename_audio", "filename_video"), "scene_label"
    test = [recording for recording in plan if recording.test]
    labelled = {
        "train": [recording for recording in plan if not recording.test],
        "evaluate": test,
    }
    tables = {
        f"evaluation_setup/fold1_{part}.csv": _table((*media, label), ((r.audio, r.video, r.scene) for r in rows))
        for part, rows in labelled.items()
    }
    tables["evaluation_setup/fold1_test.csv"] = _table(media, ((r.audio, r.video) for r in test))
    tables["meta.csv"] = _table(
        (*media, label, "identifier"), ((r.audio, r.video, r.scene, r.identifier) for r in plan)
    )
    return tables


README = """# Toytown

A synthetic data set: every sound and picture here was computed by `avscene data toytown`; nothing was
recorded. It has the scenes and the layout of TAU Urban Audio-Visual Scenes 2021 and none of its content. Use
it to try a whole pipeline without downloads; numbers measured on it say nothing about real places.

Settings: {settings}
"""


def _claim(directory: Path, settings: _Settings) -> None:
    """Make `directory` with its marker, or see that it is a toytown of these settings."""
    marker, text = directory / MARKER, json.dumps(asdict(settings))
    if marker.is_file():
        if marker.read_text(encoding="utf-8") != text:
            raise DataError(f"{directory} holds a toytown with other settings; choose another directory or remove it")
        return
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DataError(f"{directory} is not a toytown and not empty; choose another directory")
    for folder in ("audio", "video", "evaluation_setup"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    write_text(marker, text)


def _run_all(tasks: list[Callable[[], None]], progress: Progress | None) -> None:
    """Run `tasks` on all cores. The first error, or Ctrl-C, ends it after the tasks that are under way.

    Threads do: numpy and the encoder release the interpreter, and a caller needs no `if __name__` guard.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        futures = [pool.submit(task) for task in tasks]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress is not None:
                progress(done, len(tasks))
    finally:
        pool.shutdown(cancel_futures=True)


def build_toytown(
    directory: str | Path,
    *,
    locations_per_scene: int = 6,
    recordings_per_location: int = 4,
    seconds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write the data set. What is there already is kept: a part-built one resumes, a full one stays.

    The tables are written last: a directory with a `meta.csv` has every file that it names.

    Args:
        directory: Where; it is made if need be.
        locations_per_scene: Two of three are for training, the third for testing.
        recordings_per_location: Each a wav and a silent mp4 of the same stretch of time.
        seconds: Length of a recording.
        seed: Same seed and settings, same content.
        progress: Called with (recordings done, recordings in all) as they are finished.

    Raises:
        DataError: A setting is out of range, the directory holds something else, or a file cannot be written.
    """
    settings = _Settings(locations_per_scene, recordings_per_location, seconds, seed)
    settings.check()
    root, plan = Path(directory), _plan(settings)
    _claim(root, settings)
    _run_all([partial(_write_media, root, recording, settings) for recording in plan], progress)
    texts = _tables(plan) | {"README.md": README.format(settings=json.dumps(asdict(settings)))}
    for name, text in texts.items():
        if not (root / name).exists():
            write_text(root / name, text)


def write_recording(path: str | Path, scenes: Iterable[str], *, seconds: int, seed: int = 0) -> None:
    """Write one mp4 with sound that goes through `scenes`, `seconds` each, at places that no data set of the seed has.

    Raises:
        DataError: the file cannot be written.
    """
    stays = [(scene, _random(seed, "film", row), _random(seed, "film take", row)) for row, scene in enumerate(scenes)]
    heard = [render_sound(SOUNDS[scene], seconds, place, take) for scene, place, take in stays]
    seen = (frame for scene, place, take in stays for frame in render_picture(PICTURES[scene], seconds, place, take))
    write_mp4(path, seen, FPS, np.concatenate(heard), SAMPLE_RATE)
