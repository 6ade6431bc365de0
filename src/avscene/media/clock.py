"""Timestamps that nobody vouches for -> times that only go forward."""

from collections import deque
from statistics import median

# A forward jump of more than this (seconds) is a broken clock, not a pause; so is a backward one of more than
# BACKWARD.
FORWARD = 600.0
BACKWARD = 1.0


class Clock:
    """The timestamps of one stream, with broken jumps closed: after one the stream goes on where it was."""

    def __init__(self) -> None:
        self.jumps = 0
        self.shift = 0.0
        self._last: float | None = None
        self._end = 0.0
        self._gaps: deque[float] = deque(maxlen=63)

    def place(self, time: float | None, length: float) -> tuple[float, float]:
        """Begin and end of what says it begins at `time` and lasts `length` (0: unknown) seconds."""
        if self._last is None:
            self._last = self._end = start = time if time is not None else 0.0
        else:
            start = self._end if time is None else time + self.shift
            if start > self._end + FORWARD or start < self._last - BACKWARD:
                self.jumps += 1
                self.shift += self._end - start
                start = self._end
            start = max(start, self._last)
            if start > self._last:
                self._gaps.append(start - self._last)
        if not 0 < length <= FORWARD:
            length = median(self._gaps) if self._gaps else 0.0
        self._last, self._end = start, max(start + length, self._end)
        return start, start + length
