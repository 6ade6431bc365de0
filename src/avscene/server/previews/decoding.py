"""Decode the waveform and thumbnails of one media file in worker processes."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from avscene.errors import AvsceneError, MediaError
from avscene.media.limits import Limits
from avscene.media.sampling import Sampling
from avscene.media.workers import IsolatedRecording
from avscene.records import Frame, Segment
from avscene.server.previews.peaks import HOP, SAMPLE_RATE, PeakMeter
from avscene.server.previews.preview import Preview
from avscene.server.previews.sprite import HEIGHT, MAX_TILES, make_sprite

EXACT_SECONDS = 30.0  # of a video that is decoded as a whole; keyframes of longer ones are close enough
_TILES_PER_SECOND = 2.0


class CancelledError(AvsceneError):
    """The preview is not needed any longer."""


class PreviewDecoding:
    """Decodes one media file twice: its audio, which gives the duration, and then a few frames of its video.

    Args:
        path: the media file.
        limits: what it may need; one thread decodes it, as other recordings are more urgent.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = replace(limits, threads=1)
        self._lock = threading.Lock()
        self._recording: IsolatedRecording | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """Stop decoding; may be called from any thread."""
        with self._lock:
            self._cancelled = True
            if self._recording is not None:
                self._recording.close()

    def run(self) -> tuple[Preview, bytes | None]:
        """Return the preview and the image of its thumbnails; a file that cannot be decoded has an empty preview.

        Raises:
            CancelledError: `cancel` was called.
            WeightsError: no worker process can be started.
        """
        errors = []
        meter, frames, duration = PeakMeter(), list[Frame](), None
        try:
            duration = self._read_audio(meter)
        except MediaError as error:
            errors.append(error)
        try:
            frames, seconds = self._read_frames(duration)
            duration = seconds if duration is None else duration
        except MediaError as error:
            errors.append(error)
        self._check_cancelled()
        peaks = meter.peaks(duration or 0.0)
        thumbnails, sprite = make_sprite(frames) if frames else (None, None)
        is_empty = peaks is None and thumbnails is None
        return Preview(duration or 0.0, peaks, thumbnails, self._reason(errors) if is_empty else None), sprite

    def _read_audio(self, meter: PeakMeter) -> float:
        """Measure the peaks of the audio, if there is any; return the duration of the whole recording in seconds."""
        recording = self._open()
        for number, segment in self._segments(recording, Sampling(hop=HOP, sample_rate=SAMPLE_RATE)):
            if segment.waveform is not None:
                meter.add(number, segment.waveform)
        return recording.duration

    def _read_frames(self, duration: float | None) -> tuple[list[Frame], float]:
        """Return distinct frames in order of time, a bounded number, and the duration of the video in seconds."""
        recording, frames = self._open(), dict[float, Frame]()
        is_short = duration is not None and duration <= EXACT_SECONDS
        hop = 1.0
        if duration:
            hop = duration / min(MAX_TILES, max(1, round(duration * _TILES_PER_SECOND)))
        sampling = Sampling(hop=hop, frame_size=HEIGHT, keyframes_only=not is_short)
        for _, segment in self._segments(recording, sampling):
            frames |= {frame.time: frame for frame in segment.frames}
            if len(frames) >= 2 * MAX_TILES:  # the duration is not known
                frames = dict(list(frames.items())[::2])
        return list(frames.values()), recording.duration

    def _open(self) -> IsolatedRecording:
        recording = IsolatedRecording(self._path, limits=self._limits)
        with self._lock:
            self._recording = recording
        self._check_cancelled()
        return recording

    def _segments(self, recording: IsolatedRecording, sampling: Sampling) -> Iterator[tuple[int, Segment]]:
        with recording:
            yield from enumerate(recording.segments(sampling))
        self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelled:
            raise CancelledError(f"{self._path}: the preview was cancelled")

    def _reason(self, errors: list[MediaError]) -> str:
        """Return why nothing could be decoded, without the path of the file."""
        return str(errors[0]).removeprefix(f"{self._path}: ") if errors else "has nothing that can be decoded"
