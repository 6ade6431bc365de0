"""Read the frame at the middle of recordings in worker processes, for thumbnails."""

import threading

from avscene.errors import MediaError
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.sampling import Sampling
from avscene.media.workers.recording import IsolatedRecording
from avscene.records import ByteArray


class MiddleFrameReader:
    """Reads one frame of each recording; may be used by several threads at a time.

    Args:
        size: Pixels to which the shorter side of a frame is scaled down.
        limits: Limits of a recording.
        program: Number of the programme that is read of transport streams, as in `Recording`.
    """

    def __init__(self, size: int, limits: Limits = DEFAULT_LIMITS, program: int | None = None) -> None:
        self._size = size
        self._limits = limits
        self._program = program
        self._lock = threading.Lock()
        self._open: set[IsolatedRecording] = set()
        self._closed = False

    def read(self, path: str, duration: float) -> ByteArray | None:
        """Return the RGB frame (height, width, 3) that is shown in the middle; None if it cannot be decoded.

        Args:
            path: the media file.
            duration: its duration in seconds; 0 for a photograph.

        Raises:
            WeightsError: no worker process can be started.
        """
        recording = IsolatedRecording(path, limits=self._limits, program=self._program)
        if not self._begin(recording):
            return None
        try:
            with recording:
                # The frame of a segment is the one at its middle: one segment is the whole recording.
                segments = list(recording.segments(Sampling(hop=duration or 1.0, frame_size=self._size)))
        except MediaError:
            return None
        finally:
            with self._lock:
                self._open.discard(recording)
        return next((frame.pixels for segment in segments for frame in segment.frames), None)

    def close(self) -> None:
        """Stop reading; what other threads read becomes None."""
        with self._lock:
            self._closed = True
            for recording in self._open:
                recording.close()

    def _begin(self, recording: IsolatedRecording) -> bool:
        with self._lock:
            if not self._closed:
                self._open.add(recording)
            return not self._closed
