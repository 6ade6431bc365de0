"""Select the keyframes that are nearest to the target times."""

from avscene.media.packets.clock import Packet
from avscene.media.packets.selection import TIME_MARGIN, Decision, HasTarget

# Seconds that a keyframe waits for the next one; without one it is decoded, whatever the targets are.
KEYFRAME_LOOKAHEAD = 10.0
LONG_BEFORE = -1e9  # seconds; before every target


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
        self._following: list[Decision] = []

    def add(self, packet: Packet, start: float, end: float) -> list[Decision]:
        """Take the next packet, shown in `[start, end)` seconds; return the decisions that it makes possible."""
        if packet.is_keyframe:
            decisions = self._decide(start)
            self._pending, self._pending_span = packet, (start, end)
            return decisions
        skipped = Decision(packet, start, end, "skip")
        if self._pending is None:
            return [skipped]
        self._following.append(skipped)
        return self._decide(None) if start > self._pending_span[0] + KEYFRAME_LOOKAHEAD else []

    def flush(self) -> list[Decision]:
        """Decide on what is pending, at the end of the stream."""
        return self._decide(None)

    def _decide(self, following: float | None) -> list[Decision]:
        """Decide on the pending keyframe; the next one is shown at `following` seconds, None if there is none soon."""
        if self._pending is None:
            return []
        start, end = self._pending_span
        nearest_until = float("inf") if following is None else (start + following) / 2
        is_needed = self.has_target((self._previous + start) / 2 - TIME_MARGIN, nearest_until + TIME_MARGIN)
        decision = Decision(self._pending, start, end, "output" if is_needed else "skip")
        decisions, self._following = [decision, *self._following], []
        self._previous, self._pending = start, None
        return decisions
