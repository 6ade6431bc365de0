"""Time the frames and blocks of audio of a stream so that their times never decrease."""

from collections import deque
from statistics import median

MAX_DURATION = 600.0  # seconds; a longer one is not plausible


class FrameTimes:
    """Start and end in seconds of the frames (or blocks of audio) that a decoder returns."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._end = 0.0
        self._steps: deque[float] = deque(maxlen=63)

    def next(self, time: float | None, duration: float, *, reordered: bool = False) -> tuple[float, float]:
        """Return the start and end of the next frame.

        Args:
            time: Its timestamp in seconds; without one (None) it starts where the previous frame ended.
            duration: In seconds; if it is unknown (0) or not plausible, the median step between frames replaces it.
            reordered: The frames come in decoding order, so that their times may decrease.
        """
        start = self._end if time is None else time
        if self._last is not None:
            start = start if reordered else max(start, self._last)
            if start > self._last:
                self._steps.append(start - self._last)
        if not 0 < duration <= MAX_DURATION:
            duration = median(self._steps) if self._steps else 0.0
        self._last, self._end = start, max(start + duration, self._end)
        return start, start + duration
