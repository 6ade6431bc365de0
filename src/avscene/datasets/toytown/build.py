"""Build toytown from a seed: ten scenes as real wav and mp4 files, in the layout of TAU."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from avscene.cores import usable_cores
from avscene.datasets.toytown.audio import ABSENT_LEVEL, AUDIO_RECIPES, render_audio
from avscene.datasets.toytown.panorama import VIDEO_RECIPES
from avscene.datasets.toytown.plan import (
    AUDIO_PAIRS,
    VIDEO_PAIRS,
    PlannedRecording,
    Settings,
    neighbour,
    plan_recordings,
    seeded_generator,
    tables,
)
from avscene.datasets.toytown.synth import SAMPLE_RATE
from avscene.datasets.toytown.video import FPS, render_video
from avscene.errors import DataError
from avscene.files import write_text
from avscene.media.encode import write_mp4, write_wav
from avscene.progress import Progress

MARKER = "toytown.json"  # holds the settings; a directory with it is a toytown
README = """# Toytown

A synthetic data set: all audio and video here was computed by `avscene data toytown`; nothing was recorded. It has the
scenes and the layout of TAU Urban Audio-Visual Scenes 2021 and none of its content. Use it to try a whole pipeline
without downloads. Results on it are not comparable with results on real recordings.

Settings: {settings}
"""


def build_toytown(
    directory: str | Path,
    *,
    locations_per_scene: int = 6,
    recordings_per_location: int = 4,
    seconds: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write the data set; files that already exist are kept, so an interrupted build resumes.

    The tables are written last: a directory with a `meta.csv` has every file that it names.

    Args:
        directory: Where; it is made if need be.
        locations_per_scene: Two of three are for training, the third for testing.
        recordings_per_location: Each is a wav and an mp4 without audio of the same time.
        seconds: Length of a recording.
        seed: The same seed and settings give the same content.
        progress: Called with (recordings done, recordings in all).

    Raises:
        DataError: A setting is out of range, the directory has other content, or a file cannot be written.
    """
    settings = Settings(locations_per_scene, recordings_per_location, seconds, seed)
    root, plan = Path(directory), plan_recordings(settings)
    _prepare_directory(root, settings)
    _run_all([partial(_write_media, root, recording, settings) for recording in plan], progress)
    texts = tables(plan) | {"README.md": README.format(settings=json.dumps(asdict(settings)))}
    for name, text in texts.items():
        if not (root / name).exists():
            write_text(root / name, text)


def write_recording(
    path: str | Path, scenes: Sequence[str], *, seconds: int, seed: int = 0, audio_scenes: Sequence[str] | None = None
) -> None:
    """Write one mp4 with audio that shows `scenes` in turn, `seconds` each, at locations of no data set of this seed.

    `audio_scenes` are those of the audio if it is of other scenes than the video, as many.

    Raises:
        DataError: the file cannot be written.
    """
    parts = [
        (scene, (seeded_generator(seed, "film", row), seeded_generator(seed, "film take", row)))
        for row, scene in enumerate(scenes)
    ]
    audio = [
        render_audio(AUDIO_RECIPES[scene], seconds, *randoms)
        for scene, (_, randoms) in zip(audio_scenes or scenes, parts, strict=True)
    ]
    frames = (frame for scene, randoms in parts for frame in render_video(VIDEO_RECIPES[scene], seconds, *randoms))
    write_mp4(path, frames, FPS, np.concatenate(audio), SAMPLE_RATE)


def _write_media(directory: Path, recording: PlannedRecording, settings: Settings) -> None:
    """Render and write the missing files of `recording`."""
    scene, seed = recording.scene, settings.seed
    audio, video = directory / recording.audio, directory / recording.video
    if not audio.exists():
        pair = (scene, neighbour(scene, AUDIO_PAIRS))
        recipe = _blend(AUDIO_RECIPES, pair, recording.audio_share, absent=ABSENT_LEVEL)
        randoms = seeded_generator(seed, "ear", recording.location), seeded_generator(seed, "sound", recording.segment)
        write_wav(audio, render_audio(recipe, settings.seconds, *randoms), SAMPLE_RATE)
    if not video.exists():
        pair = (scene, neighbour(scene, VIDEO_PAIRS))
        recipe = _blend(VIDEO_RECIPES, pair, recording.video_share, absent=0)
        randoms = (
            seeded_generator(seed, "eye", recording.location),
            seeded_generator(seed, "picture", recording.segment),
        )
        write_mp4(video, render_video(recipe, settings.seconds, *randoms), FPS)


def _blend(
    recipes: Mapping[str, Mapping[str, float]], pair: tuple[str, str], share: float, absent: float
) -> dict[str, float]:
    """Mix the recipes of both scenes of `pair`; the second one has `share`. `absent` is the amount of missing parts."""
    own, other = (recipes[scene] for scene in pair)
    return {
        name: (1 - share) * own.get(name, absent) + share * other.get(name, absent)
        for name in own.keys() | other.keys()
    }


def _prepare_directory(directory: Path, settings: Settings) -> None:
    """Make `directory` with its marker, or check that it is a toytown of these settings."""
    marker, text = directory / MARKER, json.dumps(asdict(settings))
    if marker.is_file():
        if marker.read_text(encoding="utf-8") != text:
            raise DataError(f"{directory}: has a toytown with other settings; choose another directory or remove it")
        return
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DataError(f"{directory}: is not a toytown and not empty; choose another directory")
    for folder in ("audio", "video", "evaluation_setup"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    write_text(marker, text)


def _run_all(tasks: list[Callable[[], None]], progress: Progress | None) -> None:
    """Run `tasks` on all cores; after the first error, or Ctrl-C, no further task starts.

    Threads suffice: numpy and the encoder release the interpreter lock, and callers need no `if __name__` guard.
    """
    pool = ThreadPoolExecutor(usable_cores())
    try:
        futures = [pool.submit(task) for task in tasks]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress is not None:
                progress(done, len(tasks))
    finally:
        pool.shutdown(cancel_futures=True)
