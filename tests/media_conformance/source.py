"""Make the numbered frames and the tones that all files are encoded from, and encode clips of them with ffmpeg."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.io import wavfile

from tests.media_conformance import picture_code, tones
from tests.media_conformance.case import FPS, GOP, MissingEncoderError, Recipe
from tests.support.ffmpeg_program import ffmpeg

N_FRAMES, N_SECONDS = 1600, 64
Arguments = Sequence[str | Path | float]

# The key frames of every encoder that has these options are frames 0, GOP, 2 GOP, ...
KEYS = ("-g", GOP, "-keyint_min", GOP, "-sc_threshold", 0)
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", 2, *KEYS, "-pix_fmt", "yuv420p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", 3, "-bf", 2, "-g", GOP, "-sc_threshold", 1_000_000_000, "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "96k")
PCM = ("-c:a", "pcm_s16le")


@cache
def folder() -> TemporaryDirectory[str]:
    """Return the folder of the frames (`frames.gray`) and tones (`tones.wav`), which is removed when Python ends."""
    directory = TemporaryDirectory(prefix="avscene-corpus-")
    root = Path(directory.name)
    frames = np.stack([picture_code.draw(number) for number in range(N_FRAMES)])
    (root / "frames.gray").write_bytes(frames.tobytes())
    wavfile.write(root / "tones.wav", tones.RATE, (tones.samples(N_SECONDS) * 32767).astype(np.int16))
    return directory


def frames(first: int = 0, seconds: float = 8, fps: float | str = FPS) -> Arguments:
    """Return ffmpeg's arguments to read `seconds` of frames from number `first` on, 128 x 96."""
    rate = float(np.prod([float(part) ** (1 - 2 * n) for n, part in enumerate(str(fps).split("/"))]))
    raw = ("-f", "rawvideo", "-video_size", "128x96", "-pixel_format", "gray", "-framerate", fps)
    return (*raw, "-ss", first / rate, "-t", seconds, "-i", Path(folder().name) / "frames.gray")


def sound(first: float = 0, seconds: float = 8) -> Arguments:
    """Return ffmpeg's arguments to read `seconds` of tones from second `first` on."""
    return ("-ss", first, "-t", seconds, "-i", Path(folder().name) / "tones.wav")


@cache
def _encoders() -> frozenset[str]:
    lines = ffmpeg("-encoders").decode().splitlines()
    return frozenset(line.split()[1] for line in lines if line.startswith(" ") and len(line.split()) > 1)


def run(*arguments: str | Path | float) -> bytes:
    """Run ffmpeg.

    Raises:
        MissingEncoderError: it lacks an encoder that the arguments name.
    """
    given = [argument if isinstance(argument, Path) else str(argument) for argument in arguments]
    for option, name in pairwise(given):
        if option in ("-c:v", "-c:a") and name != "copy" and name not in _encoders():
            raise MissingEncoderError(f"the ffmpeg program has no encoder {name}")
    return ffmpeg(*given)


def clip(
    name: str,
    *options: str | float,
    video: Arguments | None = H264,
    audio: Arguments | None = AAC,
    seconds: float = 8,
    before: Arguments = (),
) -> Recipe:
    """Return the recipe of file `name` with `seconds` of frames and tones from 0 on.

    Args:
        name: The file's name.
        options: Further options of the output.
        video: How frames are encoded; None: no video.
        audio: How tones are encoded; None: no audio.
        seconds: Duration.
        before: Options of the first input.
    """

    def recipe(where: Path) -> Path:
        inputs: list[str | Path | float] = [*before]
        inputs += frames(seconds=seconds) if video is not None else ()
        inputs += sound(seconds=seconds) if audio is not None else ()
        return encode(where / name, inputs, *(video or ()), *(audio or ()), *options)

    return recipe


def encode(path: Path, inputs: Arguments, *options: str | Path | float) -> Path:
    """Encode inputs to `path`, in one thread so that the file is the same on every machine."""
    run(*inputs, *options, "-threads", 1, "-fflags", "+bitexact", path)
    return path


def copy(source: Path, path: Path, *options: str | Path | float, before: Arguments = ()) -> Path:
    """Copy the streams of `source` to `path` without encoding them again."""
    run(*before, "-i", source, "-c", "copy", *options, path)
    return path
