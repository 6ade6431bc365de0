"""Remove from segments what holds no content: silent audio, and frames of a single colour."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from avscene.records import ByteArray, FloatArray, Modality, Segment

BLOCK = 8  # pixels; noise of sensors and codecs vanishes in the mean of a square block


@dataclass(frozen=True, slots=True)
class ContentSpec:
    """Thresholds of what is scored and trained on. They belong to a system and never change after training.

    Attributes:
        min_level: Of a segment's audio, in dBFS (`audio_level`); what is quieter is silent.
        min_spread: Of a frame, in levels of 256 (`frame_spread`); a frame that varies less is of a single colour.
    """

    min_level: float = -70.0
    min_spread: float = 1.5


DEFAULT_CONTENT = ContentSpec()


def audio_level(waveform: FloatArray) -> float:
    """Return the level of a waveform (n,) in dBFS: 20 log10 of its standard deviation, as an offset is no content."""
    deviation = float(np.std(waveform, dtype=np.float64))
    return 20 * float(np.log10(deviation)) if deviation else float("-inf")


def frame_spread(pixels: ByteArray) -> float:
    """Return how much an image (height, width, 3) varies from place to place, in levels of 256.

    That is the largest standard deviation, of the three channels, of the means of square blocks.
    """
    side = max(min(BLOCK, *(length // 2 for length in pixels.shape[:2])), 1)
    rows, columns = (length // side for length in pixels.shape[:2])
    cut = pixels[: rows * side, : columns * side]
    sums = np.add.reduce(cut.reshape(rows, side, columns * side, 3), axis=1, dtype=np.uint16)
    blocks = np.add.reduce(sums.reshape(rows, columns, side, 3), axis=2, dtype=np.uint32)
    return float((blocks / side**2).std(axis=(0, 1)).max())


def has_content(pixels: ByteArray, spec: ContentSpec) -> bool:
    """Whether an image (height, width, 3) is more than a single colour."""
    return frame_spread(pixels) >= spec.min_spread


def with_content(segment: Segment, spec: ContentSpec) -> Segment:
    """Return a segment without its waveform if that is silent, and without frames of a single colour."""
    frames = tuple(frame for frame in segment.frames if has_content(frame.pixels, spec))
    is_silent = segment.waveform is not None and audio_level(segment.waveform) < spec.min_level
    if not is_silent and len(frames) == len(segment.frames):
        return segment
    return replace(segment, frames=frames, waveform=None if is_silent else segment.waveform)


class ContentFilter:
    """Removes what holds no content from the segments of one recording, and counts it.

    `n_segments` counts the segments, `n_with` those that have a modality, and `n_blank` those whose modality was
    removed.

    Args:
        spec: The thresholds.
    """

    def __init__(self, spec: ContentSpec) -> None:
        self._spec = spec
        self.n_segments = 0
        self.n_with: Counter[Modality] = Counter()
        self.n_blank: Counter[Modality] = Counter()

    def apply(self, segments: Iterable[Segment]) -> Iterator[Segment]:
        """Yield the segments, each without what holds no content."""
        for segment in segments:
            kept = with_content(segment, self._spec)
            self.n_segments += 1
            modalities: tuple[Modality, ...] = ("audio", "video")
            for modality in modalities:
                self.n_with[modality] += kept.has(modality)
                self.n_blank[modality] += segment.has(modality) and not kept.has(modality)
            yield kept
