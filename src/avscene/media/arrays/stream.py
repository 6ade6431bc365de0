"""Read the segments of a stream of chunks of decoded frames and audio, each as soon as it is complete."""

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from math import inf
from typing import Any, TypedDict

from avscene.arguments import check_number, wrong_argument
from avscene.errors import UsageError
from avscene.media.arrays.frames import check_frames, check_times, image_converter
from avscene.media.arrays.waveforms import audio_blocks, check_rate, check_waveform
from avscene.media.assembly import Assembler
from avscene.media.decoded import DecodedFrame, SkippedSpan, TimedItem
from avscene.media.limits import Limits
from avscene.media.sampling import Sampling
from avscene.records import Modality, Segment

ENDLESS = Limits(hours=1e9)


class Chunk(TypedDict, total=False):
    """A part of a stream: frames, audio or both; times are seconds from the beginning of the stream.

    `frames` and `frame_times` are those of `System.classify_arrays`, and so are `waveform` and `sample_rate`. The
    waveform begins at `waveform_time`; without it, where the one before it ended. Times never decrease.
    """

    frames: Any
    frame_times: Any
    waveform: Any
    sample_rate: int
    waveform_time: float


class StreamAssembler:
    """Makes segments of the chunks of a stream. Its memory does not grow with their number.

    Args:
        sampling: What segments consist of.
        modalities: What the stream has. A segment is complete when both are there, or one is `max_lag` seconds ahead.
        max_lag: Seconds by which one modality may be ahead of the other.
    """

    def __init__(self, sampling: Sampling, modalities: Iterable[Modality], max_lag: float) -> None:
        self._sampling = sampling
        self._modalities = frozenset(modalities)
        convert = image_converter(sampling.frame_size or 1)
        self._assembler = Assembler(sampling, self._modalities, convert, ENDLESS, max_lag=max_lag)
        self._last_frame: float | None = None  # its time in seconds
        self._interval = 0.0  # between the last two frames
        self._audio_end = 0.0

    def add(self, chunk: Mapping[str, Any]) -> Iterator[Segment]:
        """Yield the segments that a chunk completes.

        Raises:
            UsageError: the chunk is not as `Chunk` describes it.
        """
        if not isinstance(chunk, Mapping) or not set(chunk) <= set(Chunk.__annotations__):
            raise wrong_argument("a chunk", chunk, f"a dict with keys of {', '.join(Chunk.__annotations__)}")
        for item in merge(self._frames(chunk), self._audio(chunk), key=lambda item: item.time):
            self._assembler.add(item)
            yield from self._assembler.ready()
        self._assembler.forget_problems()

    def finish(self) -> Iterator[Segment]:
        """Yield the remaining segments, after the last chunk; none if there was no chunk with content."""
        if self._last_frame is not None:
            self._assembler.add(SkippedSpan(self._last_frame, self._last_frame + self._interval, "video"))
        self._assembler.add(SkippedSpan(self._audio_end, self._audio_end, "audio"))
        if self._last_frame is not None or self._audio_end:
            yield from self._assembler.finish()

    def _frames(self, chunk: Mapping[str, Any]) -> Iterator[TimedItem]:
        frames = chunk.get("frames")
        if frames is None:
            return
        self._check_modality("video", "frames")
        images = check_frames(frames)
        times = check_times(chunk.get("frame_times"), len(images)).tolist()
        if self._last_frame is not None and times[0] < self._last_frame:
            raise UsageError(f"frame_times go back from {self._last_frame:g} to {times[0]:g} s in a stream")
        for time, image in zip(times, images, strict=True):
            self._interval = 0.0 if self._last_frame is None else time - self._last_frame
            self._last_frame = time
            if self._sampling.frame_size is not None:
                yield DecodedFrame(time, time, image)

    def _audio(self, chunk: Mapping[str, Any]) -> Iterator[TimedItem]:
        waveform = chunk.get("waveform")
        if waveform is None:
            return
        self._check_modality("audio", "a waveform")
        samples, rate = check_waveform(waveform), check_rate(chunk.get("sample_rate"))
        start = chunk.get("waveform_time")
        if start is None:
            start = self._audio_end
        accepted = "a number of seconds from the beginning of the stream"
        check_number("waveform_time", start, accepted)
        if not 0 <= start < inf:
            raise wrong_argument("waveform_time", start, accepted)
        self._audio_end = start + samples.shape[1] / rate
        if self._sampling.sample_rate is not None:
            yield from audio_blocks(samples, rate, start)

    def _check_modality(self, modality: Modality, what: str) -> None:
        if modality not in self._modalities:
            raise UsageError(f"a chunk has {what}, but the stream began without; try: modalities=('audio', 'video')")
