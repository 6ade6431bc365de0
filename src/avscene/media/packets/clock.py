"""Correct the timestamps of a stream so that they never decrease and never jump."""

from collections import deque
from statistics import median

MAX_FORWARD_JUMP = 600.0  # seconds; a longer one is a broken clock, not a pause
MAX_BACKWARD_JUMP = 1.0  # seconds
# Audio encoders add up to this much (seconds) before time 0; it is cut off.
MAX_PRIMING = 0.2


class StreamClock:
    """Corrected timestamps of one stream: after a jump, time continues where the stream was before.

    `jumps` counts the removed jumps; `offset` (seconds) is their sum, added to all timestamps that follow.
    """

    def __init__(self) -> None:
        self.jumps = 0
        self.offset = 0.0
        self._last_start: float | None = None
        self._end = 0.0
        self._gaps: deque[float] = deque(maxlen=63)

    def correct(self, time: float | None, duration: float) -> tuple[float, float]:
        """Return the corrected start and end in seconds of a frame or packet.

        Args:
            time: Its timestamp in seconds, None if it has none.
            duration: In seconds; if it is unknown (0) or not plausible, the median gap between timestamps replaces it.
        """
        if self._last_start is None:
            self._last_start = self._end = start = time if time is not None else 0.0
        else:
            start = self._end if time is None else time + self.offset
            if start > self._end + MAX_FORWARD_JUMP or start < self._last_start - MAX_BACKWARD_JUMP:
                self.jumps += 1
                self.offset += self._end - start
                start = self._end
            start = max(start, self._last_start)
            if start > self._last_start:
                self._gaps.append(start - self._last_start)
        if not 0 < duration <= MAX_FORWARD_JUMP:
            duration = median(self._gaps) if self._gaps else 0.0
        self._last_start, self._end = start, max(start + duration, self._end)
        return start, start + duration
