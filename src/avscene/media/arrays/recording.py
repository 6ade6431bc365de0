"""Read the segments of one recording that is given as arrays."""

from collections.abc import Iterator
from heapq import merge
from math import inf
from typing import Any

from avscene.arguments import check_number
from avscene.errors import UsageError
from avscene.media.arrays.frames import check_frames, check_times, image_converter
from avscene.media.arrays.waveforms import audio_blocks, check_rate, check_waveform
from avscene.media.assembly import Assembler
from avscene.media.decoded import DecodedFrame, SkippedSpan, TimedItem
from avscene.media.limits import DEFAULT_LIMITS
from avscene.media.sampling import Sampling
from avscene.records import AudioSource, Modality, Segment

TOLERANCE = 1e-3  # seconds by which frames or audio may go on after a duration


class ArrayRecording:
    """A recording of decoded frames and audio; both begin at time 0. It has the properties of `Recording`.

    `duration` in seconds is known after the segments were read; it is 0 for a photograph, a single frame without audio.

    Args:
        frames: Images, as `check_frames` accepts them; None if there is no video.
        frame_times: Seconds at which each is first shown; a photograph needs none.
        waveform: Samples, as `check_waveform` accepts them; None if there is no audio.
        sample_rate: Their number per second.
        duration: Seconds of the recording; by default until the end of the waveform, and of the last frame, which is
            shown as long as the one before it.

    Raises:
        UsageError: an argument is of a wrong type, shape or range, or there is neither video nor audio.
    """

    def __init__(self, frames: Any, frame_times: Any, waveform: Any, sample_rate: Any, duration: Any = None) -> None:
        if frames is None and waveform is None:
            options = "frames with frame_times, a waveform with sample_rate, or both"
            raise UsageError(f"there are neither frames nor a waveform; give {options}")
        if frames is None and frame_times is not None:
            raise UsageError("frame_times are given without frames")
        if waveform is None and sample_rate is not None:
            raise UsageError("sample_rate is given without a waveform")
        self.duration = 0.0
        self.warnings: tuple[str, ...] = ()
        self.has_video, self.has_audio = frames is not None, waveform is not None
        self.audio_source: AudioSource | None = None
        self._frames = check_frames(frames) if frames is not None else ()
        self._is_photograph = len(self._frames) == 1 and not self.has_audio and duration is None
        given_times = [0.0] if self._is_photograph and frame_times is None else frame_times
        self._times: list[float] = check_times(given_times, len(self._frames)).tolist() if self.has_video else []
        self._video_end, self._audio_end = _end_of(self._times), 0.0
        if waveform is not None:
            self._samples, self.audio_source = check_waveform(waveform), AudioSource(check_rate(sample_rate))
            self._audio_end = self._samples.shape[1] / self.audio_source.rate
        if duration is not None:
            self._set_end(duration)
        if (end := max(self._video_end, self._audio_end)) > DEFAULT_LIMITS.hours * 3600:
            limit = f"a recording has at most {DEFAULT_LIMITS.hours:g} h; frame_times are seconds"
            raise UsageError(f"the recording is {end / 3600:.1f} h long; {limit}")

    def segments(self, sampling: Sampling) -> Iterator[Segment]:
        """Yield the segments in order.

        Raises:
            UsageError: a frame is of a wrong type, shape or range.
        """
        present: dict[Modality, bool] = {"video": self.has_video, "audio": self.has_audio}
        streams = [modality for modality in present if present[modality]]
        assembler = Assembler(sampling, streams, image_converter(sampling.frame_size or 1))
        for item in self._items(sampling):
            assembler.add(item)
            if not self._is_photograph:
                yield from assembler.ready()
        yield from assembler.finish(self._is_photograph)
        self.duration, self.warnings = assembler.duration, tuple(dict.fromkeys(assembler.warnings))

    def _items(self, sampling: Sampling) -> Iterator[TimedItem]:
        """Yield frames and audio that are wanted in order of time, then the ends of both."""
        video: Iterator[TimedItem] = iter(())
        audio: Iterator[TimedItem] = iter(())
        if sampling.frame_size is not None:
            shown = zip(self._times, self._frames, strict=True)
            video = (DecodedFrame(time, time, image) for time, image in shown)
        if sampling.sample_rate is not None and self.audio_source is not None:
            audio = audio_blocks(self._samples, self.audio_source.rate, 0.0)
        yield from merge(video, audio, key=lambda item: item.time)
        if self._times:
            yield SkippedSpan(self._times[-1], self._video_end, "video")
        if self.has_audio:
            yield SkippedSpan(self._audio_end, self._audio_end, "audio")

    def _set_end(self, duration: Any) -> None:
        """Let the recording end at `duration` seconds."""
        check_number("duration", duration, "a number of seconds")
        content_end = max(self._audio_end, *self._times[-1:], 0.0)
        if not 0 < duration < inf or duration < content_end - TOLERANCE:
            raise UsageError(f"duration is {duration:g} s, but frames or audio go on until {content_end:g} s")
        if self.has_video:
            self._video_end = float(duration)
        else:
            self._audio_end = float(duration)


def _end_of(times: list[float]) -> float:
    """Return the seconds until which the last frame is shown: as long as the one before it."""
    return 2 * times[-1] - times[-2] if len(times) > 1 else sum(times)
