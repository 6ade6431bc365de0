"""Correct the timestamps of a file's packets so that its streams keep one clock that never jumps."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import av
from av.stream import Stream

if TYPE_CHECKING:
    Packet = av.Packet[Any]  # generic only in PyAV's stubs
else:
    Packet = av.Packet

# Seconds without a packet of any stream, after which the clock has jumped. In formats whose clock may restart within a
# file (MPEG-TS), ffmpeg's program assumes the same (-dts_delta_threshold). Others state their pauses.
MAX_PAUSE, MAX_STATED_PAUSE = 10.0, 600.0
MAX_BACKWARD = 1.0  # seconds of a step back that is no jump
MAX_STEP = 0.5  # seconds between packets, or MAX_STEPS usual steps; after a longer one the next packets are compared
MAX_STEPS = 4
RETURN = 0.25  # seconds by which packets after a wrong one go back to where they belong
N_FOLLOWING = 4  # packets of the stream that decide whether a jump is one or a wrong timestamp
# Seconds of a stream after its jump in which the jumps of the others are looked for, to about the same time.
SAME_JUMP = 5.0
MAX_DELAY = 16  # packets among which the first that is shown is looked for (H.264, A.3.1)
# Of the packets that wait; more are used with the timestamps that they have.
MAX_WAITING_PACKETS = 5000
MAX_WAITING_BYTES = 2**26


class StreamTimes:
    """Times in seconds of the packets of one stream, on the clock of the file."""

    def __init__(self, time_base: float) -> None:
        self.time_base = time_base
        self.offset = 0.0  # added to the timestamps that the file states
        self.n_file_jumps = 0  # that this stream has followed
        self.last: float | None = None  # decoding time of the last packet; None: none since a jump
        self.next = 0.0  # decoding time at which the next packet is expected
        self.end = float("-inf")  # of what is shown or played
        self.waiting: deque[tuple[float, float]] = deque()  # stated times of packets that wait: of decoding, of showing
        self._steps: deque[float] = deque(maxlen=31)
        self._longest_delay = 0.0  # from decoding to showing

    @property
    def step(self) -> float:
        """The usual time from one packet to the next; 0 if it is unknown."""
        return median(self._steps) if self._steps else 0.0

    def follows(self, time: float) -> bool:
        """Whether a packet at `time` seconds continues the stream without a jump."""
        if self.last is None:
            return True
        return time >= self.last - MAX_BACKWARD and self.is_small_step(time - self.next)

    def is_small_step(self, step: float) -> bool:
        """Whether a step of so many seconds needs no comparison with the next packets."""
        return step <= MAX_STEP or step <= MAX_STEPS * self.step

    def is_unusual_delay(self, delay: float) -> bool:
        """Whether no frame so far was shown so many seconds after it was decoded, or before."""
        return not -MAX_BACKWARD <= delay <= self._longest_delay + MAX_BACKWARD and len(self._steps) >= N_FOLLOWING

    def distance_from_usual_delay(self, delay: float) -> float:
        """Seconds by which a delay differs from those of the frames so far."""
        return max(-delay, delay - self._longest_delay)

    def note(self, packet: Packet, time: float) -> None:
        """Take a packet that is decoded at `time` seconds."""
        if self.last is not None and time > self.last:
            self._steps.append(time - self.last)
        duration = (packet.duration or 0) * self.time_base
        if not 0 < duration <= MAX_STATED_PAUSE:
            duration = self.step
        delay = 0.0 if packet.pts is None else packet.pts * self.time_base - time
        if self.is_unusual_delay(delay):
            delay = 0.0
        self._longest_delay = max(self._longest_delay, delay)
        self.last, self.next = time, time + duration
        self.end = max(self.end, self.next + max(delay, 0.0))

    def restart(self, offset: float) -> None:
        """Continue after a jump with another offset in seconds."""
        self.offset, self.last = offset, None


class FileClock:
    """Correct the timestamps of the packets of one file, in file order.

    A jump is a packet that lies more than a second before the previous one of its stream, or more than MAX_PAUSE after
    the last one of all streams. It is believed if the following packets of the stream agree with it. Then the streams
    that jump together continue where the longest of them ended, and keep their distance from each other: a file has one
    clock. A stream that jumps while the others go on continues where it was itself. If the following packets return to
    where the stream was, only the packets between have wrong timestamps, and they follow the one before.

    `n_jumps` and `n_wrong` count the removed jumps and the packets with wrong timestamps.

    Args:
        streams: The streams that are read.
        may_restart: Whether the clock of this format may restart within a file (MPEG-TS, MPEG-PS, Ogg).
    """

    def __init__(self, streams: Sequence[Stream], *, may_restart: bool) -> None:
        self.n_jumps = self.n_wrong = 0
        self._streams = {stream.index: StreamTimes(float(stream.time_base or 0)) for stream in streams}
        self._max_pause = MAX_PAUSE if may_restart else MAX_STATED_PAUSE
        self._n_file_jumps = 0
        self._offset = 0.0  # of the streams that followed all jumps of the file
        self._waiting: deque[Packet] = deque()
        self._n_bytes = 0
        self._ended = False

    def correct(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        """Yield the packets in the same order with corrected timestamps; some wait while a jump is judged."""
        for packet in packets:
            stream = self._streams[packet.stream_index]
            if packet.dts is not None:  # the times at which frames are shown go up and down
                shown = packet.dts if packet.pts is None else packet.pts
                stream.waiting.append((packet.dts * stream.time_base, shown * stream.time_base))
            self._waiting.append(packet)
            self._n_bytes += packet.size
            yield from self._release()
        self._ended = True
        yield from self._release()

    def _release(self) -> Iterator[Packet]:
        """Yield the packets that can be judged."""
        while self._waiting:
            packet = self._waiting[0]
            stream = self._streams[packet.stream_index]
            if packet.dts is not None:
                if not self._judge(packet, stream, stream.waiting[0][0]):
                    return
                stream.waiting.popleft()
            elif packet.pts is not None and stream.offset:
                packet.pts += round(stream.offset / stream.time_base)
            self._waiting.popleft()
            self._n_bytes -= packet.size
            yield packet

    def _judge(self, packet: Packet, stream: StreamTimes, stated: float) -> bool:
        """Correct the first packet that waits, whose file states `stated` seconds; False: more must be read first."""
        if stream.n_file_jumps < self._n_file_jumps:
            self._follow_jump(stream, stated)
        delay = stream.waiting[0][1] - stated
        is_late = stream.is_unusual_delay(delay)
        if stream.last is not None and stream.follows(stated + stream.offset) and not is_late:
            self._correct(packet, stream, stated + stream.offset)
            return True
        if len(stream.waiting) <= N_FOLLOWING and not self._must_judge():
            return False
        time = stated + stream.offset
        next_ones = list(islice(stream.waiting, 1, N_FOLLOWING + 1))
        following = [later + stream.offset for later, _ in next_ones]
        shown = [later + stream.offset for _, later in next_ones]
        continues = stream.last is not None and stream.follows(time)
        if not continues and self._is_wrong(stream, time, following, shown):
            expected = following[0] - (following[1] - following[0]) if stream.last is None else stream.next
            # Where only the decoding time is wrong, which libavformat makes up in Matroska, nothing that is used is.
            self.n_wrong += self._correct(packet, stream, expected, stated + stream.offset)
            return True
        is_too_late = delay > self._max_pause or max([time, *following]) < time + delay - RETURN
        if is_late and continues and (delay < 0 or is_too_late):
            self.n_wrong += 1
            packet.pts = None  # its frame follows the previous one
        last = None if continues else stream.last
        if last is not None and (time < last or time > self._end() + self._max_pause):
            if not self._jump(stream):
                return False
            time = stated + stream.offset
        self._correct(packet, stream, time)
        return True

    def _must_judge(self) -> bool:
        return self._ended or self._n_bytes > MAX_WAITING_BYTES or len(self._waiting) > MAX_WAITING_PACKETS

    def _end(self) -> float:
        return max(stream.end for stream in self._streams.values())

    def _is_wrong(self, stream: StreamTimes, time: float, following: list[float], shown: list[float]) -> bool:
        """Whether the stream goes on where it was, after this packet or one of the next.

        Those are decoded at `following` and `shown` seconds. Where only the former goes back, as libavformat makes it
        up for frames around a hole in Matroska, the stream does not.
        """
        if stream.last is None:  # the first packet, far from the next ones, which agree with each other
            if len(following) < N_FOLLOWING or any(not 0 <= b - a <= MAX_STEP for a, b in pairwise(following)):
                return False
            return not -self._max_pause <= time - following[0] <= MAX_BACKWARD
        if not following:
            return time < stream.last or time > self._end() + self._max_pause
        if time > stream.last:
            earliest, latest = stream.last - MAX_BACKWARD, time - RETURN
            return any(a >= earliest and max(a, b) < latest for a, b in zip(following, shown, strict=True))
        return any(b >= stream.last - RETURN and b - a > MAX_STEP for a, b in pairwise([time, *following]))

    def _correct(self, packet: Packet, stream: StreamTimes, time: float, wrong: float | None = None) -> bool:
        """Set the timestamps of a packet that is decoded at `time` seconds, not at the `wrong` time.

        Returns:
            Whether the time at which it is shown was wrong, too.
        """
        base = stream.time_base
        stated = packet.pts
        ticks = round(stream.offset / base)
        correction = 0 if wrong is None else round((time - wrong) / base)
        if packet.pts is not None and (ticks or correction):
            # With a wrong decoding time, the time at which the frame is shown may be right.
            choices = (packet.pts + ticks + correction, packet.pts + ticks)
            packet.pts = min(choices, key=lambda pts: stream.distance_from_usual_delay(pts * base - time))
        if packet.dts is not None and (ticks or correction):
            packet.dts += ticks + correction
        stream.note(packet, time)
        return stated is None or packet.pts != stated + ticks

    def _jump(self, stream: StreamTimes) -> bool:
        """Remove the jump to the first packet of `stream` that waits; False: more packets must be read first."""
        now = self._end()
        stated = stream.waiting[0][0]
        others = [s for s in self._streams.values() if s is not stream and s.last is not None]
        found = [_find_jump(other, stated) for other in others if other.end > now - MAX_PAUSE]
        advanced = stream.waiting[-1][0] - stated
        if any(start is None for start, _, _ in found) and advanced < SAME_JUMP and not self._must_judge():
            return False
        self.n_jumps += 1
        starts = [start for start, _, _ in found if start is not None]
        if not starts and any(goes_on for _, _, goes_on in found):
            stream.restart(stream.next - stated)
            return True
        starts.append(min(shown for _, shown in islice(stream.waiting, MAX_DELAY)))
        self._offset = max([now, *(end for _, end, _ in found)]) - min(starts)
        self._n_file_jumps += 1
        stream.n_file_jumps = self._n_file_jumps
        stream.restart(self._offset)
        return True

    def _follow_jump(self, stream: StreamTimes, stated: float) -> None:
        """Let a stream follow the last jump of the file, if that brings its next packet nearer to the other streams."""
        now = max(s.next for s in self._streams.values() if s.n_file_jumps == self._n_file_jumps)
        if abs(stated + self._offset - now) < abs(stated + stream.offset - now):
            stream.n_file_jumps = self._n_file_jumps
            stream.restart(self._offset)


def _find_jump(stream: StreamTimes, stated: float) -> tuple[float | None, float, bool]:
    """Find in the packets of `stream` that wait a jump to about `stated` seconds.

    Returns:
        The first time shown after it (as stated), None if there is no such jump; the end of what is shown before it, on
        the file's clock; and whether the stream goes on without it.
    """
    assert stream.last is not None
    first = last = stream.last
    end = stream.end
    waiting = iter(stream.waiting)
    for decoded, shown in waiting:
        time = decoded + stream.offset
        if last - MAX_BACKWARD <= time and stream.is_small_step(time - last - stream.step):
            last, end = max(last, time), max(end, shown + stream.offset + stream.step)
        elif abs(decoded - stated) <= 2 * SAME_JUMP:
            return min([shown, *(later for _, later in islice(waiting, MAX_DELAY))]), end, False
    return None, end, last - first > MAX_BACKWARD
