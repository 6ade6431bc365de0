"""Assemble decoded frames and audio, in any order, into contiguous segments of a recording."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import floor, inf
from typing import Any

from avscene.media.audio.track import AudioTrack, SegmentWaveforms
from avscene.media.decoded import DecodedAudio, DecodedFrame, DecodedItem, StreamEnd
from avscene.media.frame_sampler import FrameSampler
from avscene.media.limits import DEFAULT_LIMITS, Limits, duration_error
from avscene.media.packets.keyframes import KEYFRAME_LOOKAHEAD
from avscene.media.sampling import Sampling
from avscene.records import ByteArray, Modality, Segment

# Bytes of audio and frames that wait for the other stream. Usually they wait for a second. If one stream ended early or
# is stored after the other, the oldest segment is returned without it.
MAX_PENDING_BYTES = 2**27
MAX_NAMED_HOLES = 3  # in a warning
HOP_TOLERANCE = 1e-3  # seconds; a last part that is this close to the hop is a full one: containers round to ms


class Assembler:
    """Collect decoded items and return each segment as soon as all its parts were decoded.

    Segments are contiguous from 0. The last one ends at `duration`, unless a rest shorter than half a hop was dropped.
    There is at least one. `decoded` are the modalities of which something was decoded, `audio_rate` the sample rate in
    Hz of the first audio.

    Args:
        sampling: What segments consist of.
        streams: The modalities that are decoded, each until its `StreamEnd`.
        convert: Converts a decoded image to pixels (height, width, 3); None if it cannot.
        limits: Limits of a recording, here its duration.
        has_holes: Whether a frame that is shown for very long is followed by a hole; not in animated images.
        max_lag: Seconds by which one modality may be behind the other; a segment does not wait for it longer.
    """

    def __init__(
        self,
        sampling: Sampling,
        streams: Iterable[Modality],
        convert: Callable[[Any], ByteArray | None],
        limits: Limits = DEFAULT_LIMITS,
        *,
        has_holes: bool = True,
        max_lag: float = inf,
    ) -> None:
        self.duration = 0.0
        self.warnings: list[str] = []
        self.decoded: set[Modality] = set()
        self.audio_rate: int | None = None
        self._sampling, self._limits, self._max_lag = sampling, limits, max_lag
        self._hop = sampling.hop
        self._open = set(streams) & sampling.modalities
        self._frames = FrameSampler(
            self._hop, sampling.frames_per_segment, convert, sampling.keyframes_only, has_holes=has_holes
        )
        self._video_end = 0.0
        self._audio = AudioTrack(sampling.sample_rate or 1)
        self._waveforms = SegmentWaveforms(self._hop, sampling.sample_rate or 1) if sampling.sample_rate else None
        self._next_segment = 0
        self._warned_of_late = False

    def add(self, item: DecodedItem) -> None:
        """Take the next item.

        Raises:
            MediaError: the recording is longer than the limit.
        """
        if isinstance(item, StreamEnd):
            self._end_stream(item.modality)
            return
        if item.end > self._limits.hours * 3600:
            raise duration_error(self._limits)
        if isinstance(item, DecodedFrame):
            self.decoded.add("video")
            self._check_late(item.end <= (self._next_segment - 1) * self._hop)
            self._video_end = max(self._video_end, item.end)
            self._frames.add(item.time, item.image)
        elif isinstance(item, DecodedAudio):
            self.decoded.add("audio")
            self.audio_rate = self.audio_rate or item.rate
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
        self.warnings += [*_missing("audio", self._audio.holes), *_missing("video", self._frames.holes)]
        if self._sampling.keyframes_only and self._frames.farthest > KEYFRAME_LOOKAHEAD:
            problem = f"keyframes are rare: segments show frames up to {self._frames.farthest:.0f} s away"
            self.warnings.append(f"{problem}; try: --frames exact")
        n_full = floor((self.duration + min(HOP_TOLERANCE, self._hop / 100)) / self._hop)
        while self._next_segment < n_full:
            yield self._make_segment((self._next_segment + 1) * self._hop)
        rest = self.duration - n_full * self._hop
        if rest >= self._hop / 2 or n_full == 0:
            self.warnings.append(f"the last segment is {rest:.2f} s long and was padded to {self._hop:g} s")
            yield self._make_segment(self.duration, padded=True)

    def forget_problems(self) -> None:
        """Forget warnings and holes, which an endless stream would collect without end."""
        self.warnings.clear()
        self._audio.holes.clear()
        self._frames.holes.clear()

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
        complete = min((times[modality] for modality in self._open), default=self.duration)
        return max(complete, max(times.values()) - self._max_lag)

    def _make_segment(self, end: float, padded: bool = False) -> Segment:
        index = self._next_segment
        start = index * self._hop
        self._next_segment += 1
        waveform = None if self._waveforms is None else self._waveforms.take(index, end - start)
        return Segment(start, end, self._frames.take(index), waveform, padded)


def _missing(modality: Modality, holes: Sequence[tuple[float, float]]) -> list[str]:
    """Return a warning of the holes in a modality: their beginnings and ends in seconds."""
    if not holes:
        return []
    spans = [f"from {begin:.1f} to {end:.1f} s" for begin, end in holes[:MAX_NAMED_HOLES]]
    further = [f"in {len(holes) - MAX_NAMED_HOLES} more places"] if len(holes) > MAX_NAMED_HOLES else []
    return [f"the {modality} is missing {', '.join([*spans, *further])}"]
