"""Assemble decoded frames and audio, in any order, into contiguous segments of a recording."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from avscene.errors import MediaError
from avscene.media.audio import AudioTrack, SegmentWaveforms
from avscene.media.decoded import DecodedAudio, DecodedFrame, DecodedItem, StreamEnd
from avscene.media.video import TIME_TOLERANCE, FrameSampler
from avscene.records import ByteArray, Modality, Segment

# Seconds; a day is longer than any recording, and limits what broken timestamps can pretend.
MAX_DURATION = 24 * 3600.0
# Bytes of audio and frames that wait for the other stream. Usually they wait for a second. If one stream ended early or
# is stored after the other, the oldest segment is returned without it.
MAX_PENDING_BYTES = 2**27
HOP_TOLERANCE = 1e-3  # seconds; a last part that is this close to the hop is a full one: containers round to ms


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


class Assembler:
    """Collect decoded items and return each segment as soon as all its parts were decoded.

    Segments are contiguous from 0. The last one ends at `duration`, unless a rest shorter than half a hop was dropped.
    There is at least one. `decoded` are the modalities of which something was decoded.

    Args:
        sampling: What segments consist of.
        streams: The modalities that are decoded, each until its `StreamEnd`.
        convert: Converts a decoded image to pixels (height, width, 3); None if it cannot.
    """

    def __init__(
        self,
        sampling: Sampling,
        streams: Iterable[Modality],
        convert: Callable[[Any], ByteArray | None],
    ) -> None:
        self.duration = 0.0
        self.warnings: list[str] = []
        self.decoded: set[Modality] = set()
        self._sampling = sampling
        self._hop = sampling.hop
        self._open = set(streams) & sampling.modalities
        self._frames = FrameSampler(self._hop, sampling.frames_per_segment, convert, sampling.keyframes_only)
        self._video_end = 0.0
        self._audio = AudioTrack(sampling.sample_rate or 1)
        self._waveforms = SegmentWaveforms(self._hop, sampling.sample_rate or 1) if sampling.sample_rate else None
        self._next_segment = 0
        self._warned_of_late = False

    def add(self, item: DecodedItem) -> None:
        """Take the next item.

        Raises:
            MediaError: the recording is longer than MAX_DURATION.
        """
        if isinstance(item, StreamEnd):
            self._end_stream(item.modality)
            return
        if item.end > MAX_DURATION:
            raise MediaError(f"is longer than {MAX_DURATION / 3600:.0f} h")
        if isinstance(item, DecodedFrame):
            self.decoded.add("video")
            self._check_late(item.end <= (self._next_segment - 1) * self._hop)
            self._video_end = max(self._video_end, item.end)
            self._frames.add(item.time, item.image)
        elif isinstance(item, DecodedAudio):
            self.decoded.add("audio")
            self._write_audio(self._audio.add(item.time, item.rate, item.samples))
        elif item.modality == "video" and "video" in self._open:
            self._video_end = max(self._video_end, item.end)
            self._frames.skip_to(item.time)
        self.duration = max(self.duration, item.end)

    def ready(self) -> Iterator[Segment]:
        """Yield the segments that are complete."""
        while (self._next_segment + 1) * self._hop <= min(self._complete_until(), self.duration):
            yield self._make_segment((self._next_segment + 1) * self._hop)

    def finish(self, photograph: bool = False) -> Iterator[Segment]:
        """Yield the remaining segments, after the last item."""
        if photograph:
            self.duration = 0.0
            yield Segment(0.0, 0.0, self._frames.photograph(), None)
            return
        while self._open:
            self._end_stream(self._open.pop())
        n_full = floor((self.duration + min(HOP_TOLERANCE, self._hop / 100)) / self._hop)
        while self._next_segment < n_full:
            yield self._make_segment((self._next_segment + 1) * self._hop)
        rest = self.duration - n_full * self._hop
        if rest >= self._hop / 2 or n_full == 0:
            self.warnings.append(f"the last segment is {rest:.2f} s long and was padded to {self._hop:g} s")
            yield self._make_segment(self.duration, padded=True)

    def _end_stream(self, modality: Modality) -> None:
        self._open.discard(modality)
        if modality == "video":
            self._frames.finish(self._video_end)
        else:
            self._write_audio(self._audio.finish())

    def _write_audio(self, chunks: Iterable[tuple[int, Any]]) -> None:
        for position, samples in chunks:
            if self._waveforms is not None:
                self._check_late(not self._waveforms.write(position, samples))

    def _check_late(self, late: bool) -> None:
        if late and not self._warned_of_late:
            self._warned_of_late = True
            self.warnings.append("audio and video are far apart in the file; a part was left out")

    def _complete_until(self) -> float:
        """Seconds up to which all requested modalities were decoded."""
        times: dict[Modality, float] = {"video": self._frames.complete_until, "audio": self._audio.complete_until}
        waveform_bytes = len(self._waveforms) * self._waveforms.length * 4 if self._waveforms else 0
        if self._frames.nbytes + waveform_bytes > MAX_PENDING_BYTES:
            return max(times[modality] for modality in self.decoded)
        return min((times[modality] for modality in self._open), default=self.duration)

    def _make_segment(self, end: float, padded: bool = False) -> Segment:
        index = self._next_segment
        start = index * self._hop
        self._next_segment += 1
        waveform = None
        if self._waveforms is not None:
            starts_before = self._audio.start is not None and self._audio.start < end - TIME_TOLERANCE
            if starts_before and self._audio.end > start + TIME_TOLERANCE:
                waveform = self._waveforms.take(index)
            else:
                self._waveforms.skip(index)
        return Segment(start, end, self._frames.take(index), waveform, padded)
