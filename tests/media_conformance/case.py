"""Define a case of the corpus: how its file is made, and what avscene must read from it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from types import EllipsisType

Recipe = Callable[[Path], Path]  # takes an empty folder, returns the file that it made there
# What a segment shows: a frame's number, one of several, no frame (None), or anything (...).
Shown = int | tuple[int, ...] | None | EllipsisType
# What a segment plays: the second whose tone it has, no or hardly any audio (None), or anything (...).
Played = int | None | EllipsisType
SHAPE = (96, 128)  # rows, columns of most frames
FPS = 5  # of most videos: the frame at the middle of a segment is then 0.1 s from its neighbours
GOP = 4  # frames from key frame to key frame: 0.8 s, so no two are equally far from the middle of a segment


class MissingEncoderError(Exception):
    """The ffmpeg program or Pillow lacks an encoder that a recipe needs."""


@dataclass(frozen=True)
class Expected:
    """What is read from a file.

    Attributes:
        duration: Seconds; 0 for a photograph.
        frames: What each segment shows in exact mode.
        keyframes: The same in keyframes mode; None: as in exact mode.
        tones: What each segment plays; empty: the file has no audio.
        shape: Rows and columns of the frames whose shorter side is at most 96 pixels; None is not checked.
        warnings: A part of each warning; there may be no others. None: they are not checked.
        warnings_of_audio: The warnings are of the audio, which a system of video alone does not decode.
        error: A part of the message with which the file is refused; None if it is read.
        tolerance: Seconds by which the duration may differ.
        purity: Share of a segment's energy that its tone has at least.
        level: Root mean square of each segment with a tone; None: a good half of the
            tones' at least; ... is not checked.
        colours: (x, y) as fractions of the width and height -> RGB of the first frame there.
        colour_tolerance: By which each of them may differ.
    """

    duration: float = 0.0
    frames: tuple[Shown, ...] = ()
    keyframes: tuple[Shown, ...] | None = None
    tones: tuple[Played, ...] = ()
    shape: tuple[int, int] | None = SHAPE
    warnings: tuple[str, ...] | None = ()
    warnings_of_audio: bool = False
    error: str | None = None
    tolerance: float = 0.12
    purity: float = 0.8
    level: float | EllipsisType | None = None
    colours: dict[tuple[float, float], tuple[int, int, int]] = field(default_factory=dict)
    colour_tolerance: int = 12

    @property
    def n_segments(self) -> int:
        """The number of segments."""
        return max(len(self.frames), len(self.tones))


@dataclass(frozen=True)
class Case:
    """One file of the corpus; `fast` cases are part of the ordinary tests. `why_wrong` explains a known fault."""

    name: str
    recipe: Recipe
    expected: Expected
    fast: bool = False
    why_wrong: str | None = None


def n_segments(duration: float) -> int:
    """Return how many segments of 1 s a recording has: a rest shorter than half a second is dropped."""
    return max(floor(duration + 0.5 + 1e-6), 1)


def shown_at_middles(starts: Iterable[tuple[float, int]], count: int) -> tuple[Shown, ...]:
    """Return the frame shown at the middle of each segment by sample and hold; frames are (start in s, number)."""
    frames = sorted(starts)
    return tuple(max([f for f in frames if f[0] <= k + 0.5 + 1e-6] or frames[:1])[1] for k in range(count))


def nearest_to_middles(starts: Iterable[tuple[float, int]], count: int) -> tuple[Shown, ...]:
    """Return the key frame nearest to the middle of each segment; several if they are equally near."""
    keys = list(starts)
    found: list[Shown] = []
    for k in range(count):
        best = min(abs(time - k - 0.5) for time, _ in keys)
        numbers = tuple(number for time, number in keys if abs(time - k - 0.5) <= best + 2e-3)
        found.append(numbers[0] if len(numbers) == 1 else numbers)
    return tuple(found)


def frame_times(
    seconds: float, first: int = 0, delay: float = 0.0, fps: float = FPS, gop: int = 1
) -> list[tuple[float, int]]:
    """Return (start in seconds, number) of every `gop`-th frame of a video that begins with frame number `first`."""
    return [(delay + k / fps, first + k) for k in range(0, round(seconds * fps), gop)]
