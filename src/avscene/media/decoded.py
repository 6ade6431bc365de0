"""Define the items that a decoded media file yields: frames, blocks of audio, skipped spans and ends of streams."""

from dataclasses import dataclass
from typing import Any, Literal

from avscene.media.audio.samples import Samples
from avscene.records import Modality

DecodeMode = Literal["all", "keyframes", "timestamps"]  # timestamps: packets are read but not decoded


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """A frame as the decoder returned it (not scaled), shown in `[time, end)` seconds."""

    time: float
    end: float
    image: Any


@dataclass(frozen=True, slots=True, eq=False)
class DecodedAudio:
    """`samples` (n_channels, n) at `rate` Hz in `[time, end)` seconds."""

    time: float
    end: float
    rate: int
    samples: Samples


@dataclass(frozen=True, slots=True, eq=False)
class SkippedSpan:
    """A span of a stream, `[time, end)` seconds, that was read but not decoded."""

    time: float
    end: float
    modality: Modality


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """No further item of this modality follows."""

    modality: Modality


TimedItem = DecodedFrame | DecodedAudio | SkippedSpan
DecodedItem = TimedItem | StreamEnd
