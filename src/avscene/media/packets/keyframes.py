"""Select the keyframes that are nearest to the target times."""

from typing import NamedTuple

from avscene.media.packets.clock import Packet
from avscene.media.packets.selection import TIME_MARGIN, HasTarget

# Seconds that a keyframe waits for the next one; without one it is decoded, whatever the targets are.
KEYFRAME_LOOKAHEAD = 10.0
LONG_BEFORE = -1e9  # seconds; before every target


class Span(NamedTuple):
    """Seconds of the file's clock between which a frame is shown, and its packet if it must be decoded."""

    start: float
    end: float
    packet: Packet | None = None


class KeyframeSelector:
    """Decide for each packet of a stream, in decoding order, whether it is a keyframe that is nearest to a target time.

    Only the times of packets decide, so the frames do not depend on when a decoder returns them.

    Args:
        has_target: Whether a target time lies in `[start, end)` seconds of the file's clock; may be replaced.
    """

    def __init__(self, has_target: HasTarget) -> None:
        self.has_target = has_target
        self._previous = LONG_BEFORE  # time of the last keyframe that was decided on
        self._pending: Packet | None = None  # a keyframe, until the next one is known
        self._pending_span = (0.0, 0.0)
        self._following: list[Span] = []  # without packets, which may be large

    def add(self, packet: Packet, start: float, end: float) -> list[Span]:
        """Take the next packet, shown in `[start, end)` seconds; return the spans that it decides."""
        if packet.is_keyframe:
            spans = self._decide(start)
            self._pending, self._pending_span = packet, (start, end)
            return spans
        if self._pending is None:
            return [Span(start, end)]
        self._following.append(Span(start, end))
        return self._decide(None) if start > self._pending_span[0] + KEYFRAME_LOOKAHEAD else []

    def flush(self) -> list[Span]:
        """Decide on what is pending, at the end of the stream."""
        return self._decide(None)

    def _decide(self, following: float | None) -> list[Span]:
        """Decide on the pending keyframe; the next one is shown at `following` seconds, None if there is none soon."""
        if self._pending is None:
            return []
        start, end = self._pending_span
        nearest_until = float("inf") if following is None else (start + following) / 2
        is_needed = self.has_target((self._previous + start) / 2 - TIME_MARGIN, nearest_until + TIME_MARGIN)
        spans = [Span(start, end, self._pending if is_needed else None), *self._following]
        self._previous, self._pending, self._following = start, None, []
        return spans
