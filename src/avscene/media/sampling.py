"""Define what is decoded of a recording: the length of segments, the sample rate, and the frames."""

from dataclasses import dataclass
from math import ceil

from avscene.arguments import check_number
from avscene.errors import UsageError
from avscene.records import Modality

CPU = "cpu"  # the decoder of video that is always present
# Pixels of the shorter side of the frames that models are given, in training and in use: the largest input of the
# paper's encoders (CLIP RN50x4).
FRAME_SIZE = 288
MIN_HOP = 0.02  # seconds; a video frame is hardly shorter
MAX_HOP = 60.0  # seconds; the audio and the images of a batch of segments then fit into memory


def check_hop(hop: float) -> None:
    """Raise UsageError unless segments can be `hop` seconds long."""
    check_number("hop", hop, "a number of seconds")
    if hop > MAX_HOP:
        raise UsageError(f"hop {hop:g}: a segment has at most {MAX_HOP:g} s; try: --hop {MAX_HOP:g}")
    if not hop >= MIN_HOP:
        raise UsageError(f"hop {hop:g} is not a number of seconds of {MIN_HOP} or more; try: --hop 1")


@dataclass(frozen=True, slots=True)
class Sampling:
    """What to decode of a recording.

    Attributes:
        hop: Seconds; segment k is `[k hop, (k + 1) hop)`.
        sample_rate: Of the mono waveform in Hz; None: audio is not decoded.
        frame_size: Pixels to which a frame's shorter side is scaled down (never up); None: video is not decoded.
        frames_per_segment: Number of evenly spaced target times in a segment; a single one is in the middle.
        keyframes_only: Decode keyframes only and take the nearest one for each target time, an approximation.

    Raises:
        ValueError: a number is not positive, or the hop is shorter than a sample.
    """

    hop: float = 1.0
    sample_rate: int | None = None
    frame_size: int | None = None
    frames_per_segment: int = 1
    keyframes_only: bool = False

    def __post_init__(self) -> None:
        given = (self.hop, self.sample_rate or 1, self.frame_size or 1, self.frames_per_segment)
        if not all(number > 0 for number in given):
            raise ValueError(f"{self}: numbers must be positive")
        if self.sample_rate and self.hop * self.sample_rate < 1:
            raise ValueError(f"{self}: the hop is shorter than a sample")

    @property
    def modalities(self) -> frozenset[Modality]:
        """The modalities to decode."""
        settings: dict[Modality, int | None] = {"audio": self.sample_rate, "video": self.frame_size}
        return frozenset(modality for modality, setting in settings.items() if setting is not None)

    def has_target(self, start: float, end: float) -> bool:
        """Whether the target time of a frame lies in `[start, end)` seconds."""
        step = self.hop / self.frames_per_segment
        return (max(ceil(start / step - 0.5), 0) + 0.5) * step < end
