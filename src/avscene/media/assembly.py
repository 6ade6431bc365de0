"""Pieces of picture and sound, in any order -> segments that tile the recording."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from avscene.errors import MediaError
from avscene.media.audio import SoundTrack, Waveforms
from avscene.media.decoded import Decoded, DecodedAudio, DecodedFrame, Ended
from avscene.media.video import SLACK, FrameSampler
from avscene.records import ByteArray, Modality, Segment

# Seconds; a day is longer than any recording, and bounds what broken clocks can make up.
MAX_DURATION = 24 * 3600.0
# Bytes of finished sound and frames that wait for the other stream. It comes within a second in a sound file;
# where it lags for longer (it ended early, or lies behind the other one), the oldest segment goes out without
# it.
MAX_PENDING = 2**27
WHOLE = 1e-3  # seconds; a last part this close to the hop is a whole one: containers round timestamps to ms


@dataclass(frozen=True, slots=True)
class Sampling:
    """What the models ask of a recording.

    Segment k is `[k hop, (k + 1) hop)` seconds. `sample_rate` in Hz of the mono waveform; None: no sound is
    decoded. `frame_size` in pixels: a frame's shorter side is scaled down to it, never up; None: no picture
    is decoded. `frames_per_segment` are evenly spaced; one is the middle. `keyframes_only` is an
    approximation: only keyframes are decoded, and each target time gets the nearest one.

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
    def wanted(self) -> frozenset[Modality]:
        """The modalities to decode."""
        wanted: dict[Modality, int | None] = {"audio": self.sample_rate, "video": self.frame_size}
        return frozenset(modality for modality, asked in wanted.items() if asked is not None)

    def has_target(self, begin: float, end: float) -> bool:
        """Whether a frame's time lies in `[begin, end)` seconds."""
        between = self.hop / self.frames_per_segment
        return (max(ceil(begin / between - 0.5), 0) + 0.5) * between < end


class Assembler:
    """Puts pieces together, in any order of modalities; a segment is ready once all its parts have come.

    `streams` are the modalities that will come, each until its `Ended`. `render` turns a piece's image into
    pixels, or None if it cannot. The law: segments are contiguous from 0 and the last ends at `duration`,
    unless a rest shorter than half a hop was dropped; there is at least one.
    """

    def __init__(
        self,
        sampling: Sampling,
        streams: Iterable[Modality],
        render: Callable[[Any], ByteArray | None],
    ) -> None:
        self.duration = 0.0
        self.warnings: list[str] = []
        self.decoded: set[Modality] = set()
        self._sampling = sampling
        self._hop = sampling.hop
        self._open = set(streams) & sampling.wanted
        self._frames = FrameSampler(self._hop, sampling.frames_per_segment, render, sampling.keyframes_only)
        self._picture_end = 0.0
        self._sound = SoundTrack(sampling.sample_rate or 1)
        self._waveforms = Waveforms(self._hop, sampling.sample_rate or 1) if sampling.sample_rate else None
        self._next = 0  # segment
        self._late = False

    def add(self, piece: Decoded) -> None:
        """Take the next piece.

        Raises:
            MediaError: the recording is longer than MAX_DURATION.
        """
        if isinstance(piece, Ended):
            self._end(piece.modality)
            return
        if piece.end > MAX_DURATION:
            raise MediaError(f"is longer than {MAX_DURATION / 3600:.0f} h")
        if isinstance(piece, DecodedFrame):
            self.decoded.add("video")
            self._note_late(piece.end <= (self._next - 1) * self._hop)
            self._picture_end = max(self._picture_end, piece.end)
            self._frames.add(piece.time, piece.image)
        elif isinstance(piece, DecodedAudio):
            self.decoded.add("audio")
            self._write(self._sound.add(piece.time, piece.rate, piece.samples))
        elif piece.modality == "video" and "video" in self._open:
            self._picture_end = max(self._picture_end, piece.end)
            self._frames.passed(piece.time)
        self.duration = max(self.duration, piece.end)

    def ready(self) -> Iterator[Segment]:
        """The segments that are complete."""
        while (self._next + 1) * self._hop <= min(self._mark(), self.duration):
            yield self._segment((self._next + 1) * self._hop)

    def finish(self, photograph: bool = False) -> Iterator[Segment]:
        """The remaining segments, after the last piece."""
        if photograph:
            self.duration = 0.0
            yield Segment(0.0, 0.0, self._frames.still(), None)
            return
        while self._open:
            self._end(self._open.pop())
        whole = floor((self.duration + min(WHOLE, self._hop / 100)) / self._hop)
        while self._next < whole:
            yield self._segment((self._next + 1) * self._hop)
        rest = self.duration - whole * self._hop
        if rest >= self._hop / 2 or whole == 0:
            self.warnings.append(f"the last segment is {rest:.2f} s long and was padded to {self._hop:g} s")
            yield self._segment(self.duration, padded=True)

    def _end(self, modality: Modality) -> None:
        self._open.discard(modality)
        if modality == "video":
            self._frames.finish(self._picture_end)
        else:
            self._write(self._sound.finish())

    def _write(self, chunks: Iterable[tuple[int, Any]]) -> None:
        for position, samples in chunks:
            if self._waveforms is not None:
                self._note_late(not self._waveforms.write(position, samples))

    def _note_late(self, late: bool) -> None:
        if late and not self._late:
            self._late = True
            self.warnings.append("sound and picture lie far apart in the file; a part was left out")

    def _mark(self) -> float:
        """Seconds up to which all that is wanted has come."""
        marks: dict[Modality, float] = {"video": self._frames.mark, "audio": self._sound.mark}
        waveforms = len(self._waveforms) * self._waveforms.length * 4 if self._waveforms else 0
        if self._frames.nbytes + waveforms > MAX_PENDING:
            return max(marks[m] for m in self.decoded)
        return min((marks[m] for m in self._open), default=self.duration)

    def _segment(self, end: float, padded: bool = False) -> Segment:
        index = self._next
        start = index * self._hop
        self._next += 1
        waveform = None
        if self._waveforms is not None:
            begun = self._sound.start is not None and self._sound.start < end - SLACK
            if begun and self._sound.end > start + SLACK:
                waveform = self._waveforms.take(index)
            else:
                self._waveforms.skip(index)
        return Segment(start, end, self._frames.take(index), waveform, padded)
