"""Read the segments of one recording that is given as arrays."""

from collections.abc import Iterator
from heapq import merge
from math import inf
from typing import Any

import numpy as np

from avscene.arguments import check_number
from avscene.errors import UsageError
from avscene.media.arrays.frames import check_frames, check_times, image_converter
from avscene.media.arrays.waveforms import audio_blocks, check_rate, check_waveform
from avscene.media.assembly import Assembler
from avscene.media.decoded import DecodedFrame, SkippedSpan, TimedItem
from avscene.media.limits import DEFAULT_LIMITS
from avscene.media.sampling import Sampling
from avscene.records import AudioSource, Modality, Segment

TOLERANCE = 1e-3  # seconds by which frames or audio may be longer than a duration


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
            raise UsageError(
                "there are neither frames nor a waveform; give frames with frame_times, a waveform "
                "with sample_rate, or both"
            )
        if frames is None and frame_times is not None:
            raise UsageError("frame_times are given without frames")
        if waveform is None and sample_rate is not None:
            raise UsageError("sample_rate is given without a waveform")
        self.duration = 0.0
        self.warnings: tuple[str, ...] = ()
        self.has_video, self.has_audio = frames is not None, waveform is not None
        self._frames = () if frames is None else check_frames(frames)
        self._samples = None if waveform is None else check_waveform(waveform)
        rate = None if waveform is None else check_rate(sample_rate)
        self.audio_source = None if rate is None else AudioSource(rate)
        self._is_photograph = len(self._frames) == 1 and waveform is None and duration is None
        if self._is_photograph and frame_times is None:
            frame_times = np.zeros(1)
        self._times = np.zeros(0) if frames is None else check_times(frame_times, len(self._frames))
        self._end = self._checked_end(duration)

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
        """Yield frames and audio in order of time, then the end of the recording."""
        video: Iterator[TimedItem] = (
            DecodedFrame(time, time, image) for time, image in zip(self._times.tolist(), self._frames, strict=True)
        )
        audio: Iterator[TimedItem] = iter(())
        if self._samples is not None and self.audio_source is not None and sampling.sample_rate is not None:
            audio = audio_blocks(self._samples, self.audio_source.rate, 0.0)
        if sampling.frame_size is None:
            video = iter(())
        yield from merge(video, audio, key=lambda item: item.time)
        if len(self._times) and not self._is_photograph:
            yield SkippedSpan(float(self._times[-1]), self._video_end(), "video")
        if not self._is_photograph:
            yield SkippedSpan(self._end, self._end, "audio")

    def _video_end(self) -> float:
        """Seconds until which the last frame is shown."""
        if self._given_duration is not None:
            return self._given_duration
        before = self._times[-2] if len(self._times) > 1 else self._times[-1]
        return float(2 * self._times[-1] - before)

    def _checked_end(self, duration: Any) -> float:
        """Return the end of the recording in seconds."""
        self._given_duration = None
        audio_end = 0.0
        if self._samples is not None and self.audio_source is not None:
            audio_end = self._samples.shape[1] / self.audio_source.rate
        content_end = max(audio_end, float(self._times[-1]) if len(self._times) else 0.0)
        if duration is not None:
            check_number("duration", duration, "a number of seconds")
            if not 0 < duration < inf or duration < content_end - TOLERANCE:
                raise UsageError(f"duration is {duration:g} s, but frames or audio go on until {content_end:g} s")
            self._given_duration = float(duration)
            content_end = max(content_end, float(duration))
        elif len(self._times) and not self._is_photograph:
            content_end = max(content_end, self._video_end())
        if content_end > DEFAULT_LIMITS.hours * 3600:
            raise UsageError(
                f"the recording is {content_end / 3600:.1f} h long; a recording has at most "
                f"{DEFAULT_LIMITS.hours:g} h; frame_times are seconds"
            )
        return content_end
