"""What a media file is taken apart into: images, stretches of sound, and what was left undecoded."""

from dataclasses import dataclass
from typing import Any

from avscene.media.audio import Samples
from avscene.records import Modality


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One image, shown in `[time, end)` seconds; unscaled, as the decoder gave it."""

    time: float
    end: float
    image: Any


@dataclass(frozen=True, slots=True, eq=False)
class DecodedAudio:
    """Mono `samples` (n,) at `rate` Hz in `[time, end)` seconds."""

    time: float
    end: float
    rate: int
    samples: Samples


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """A stretch of a stream that was read but not decoded: it was not asked for, or is no keyframe."""

    time: float
    end: float
    modality: Modality


@dataclass(frozen=True, slots=True)
class Ended:
    """No more of this modality will come."""

    modality: Modality


Timed = DecodedFrame | DecodedAudio | Passed
Decoded = Timed | Ended
