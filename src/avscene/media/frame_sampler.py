"""Select the video frame shown at each target time."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from avscene.media.packets.keyframes import KEYFRAME_LOOKAHEAD
from avscene.records import ByteArray, Frame

TIME_TOLERANCE = 1e-6  # seconds; timestamps are fractions, target times are sums of floats


# A frame that is followed by no other for so many seconds, and so many times longer than usual, is followed by a hole.
MIN_HOLE = 2.0
MIN_HOLE_INTERVALS = 20  # more than a decoder reorders (16, H.264, A.3.1)
MIN_INTERVALS = 8  # that show what is usual: fewer are of slides
USUAL_SHARE = 0.9  # of the last intervals, which the usual one is not shorter than: some videos hold many frames
N_INTERVALS = 64

Hole = tuple[float, float]  # seconds at which it begins and ends


class HoleFinder:
    """Find holes in a video from the times of its frames: where it should have frames and has none."""

    def __init__(self) -> None:
        self._times: list[float] = []  # sorted, from the latest decoded frame on
        self._intervals: deque[float] = deque(maxlen=N_INTERVALS)

    def note(self, time: float) -> None:
        """Take the time in seconds of a frame, whether decoded or not, in decoding order."""
        insort(self._times, time)

    def until(self, time: float) -> list[Hole]:
        """Return the holes between the latest decoded frame and the next one, which is shown from `time` on."""
        n_before = bisect_left(self._times, time)
        times = [*self._times[:n_before], time]
        del self._times[:n_before]
        self._times.insert(0, time)
        holes = []
        for begin, end in pairwise(times):
            if self._is_hole(end - begin):
                holes.append((begin + self._usual(), end))
            elif end > begin:
                self._intervals.append(end - begin)
        return holes

    def _is_hole(self, interval: float) -> bool:
        if interval <= MIN_HOLE or len(self._intervals) < MIN_INTERVALS:
            return False
        return interval > MIN_HOLE_INTERVALS * self._usual()

    def _usual(self) -> float:
        return sorted(self._intervals)[int(USUAL_SHARE * len(self._intervals))]


class FrameSampler:
    """Select the frame shown at each target time.

    Each segment of `hop` seconds has `per_segment` evenly spaced targets. The frame shown at `t` is the last that
    started by then (sample and hold). Targets before the first frame or after the end of the video get the nearest
    frame if it is shown within the same segment. So a segment has all its frames or none. With `nearest` (keyframes
    only), the nearer of the two neighbouring frames is selected instead. A segment whose middle lies in a hole has no
    frames; with `nearest`, and without `has_holes`, no holes are looked for.

    `nbytes` counts the pixels of frames that were not taken yet, `farthest` is the longest time in seconds from a
    target to its frame, and `holes` are those that were found.
    """

    def __init__(
        self,
        hop: float,
        per_segment: int,
        convert: Callable[[Any], ByteArray | None],
        nearest: bool = False,
        *,
        has_holes: bool = True,
    ) -> None:
        self._hop, self._per_segment = hop, per_segment
        self._convert, self._nearest = convert, nearest
        self._next_target = 0
        self._current: tuple[float, Any] | None = None  # the latest frame: start in seconds, image
        self._converted: Frame | None = None  # the same, once it was selected
        self._video_start: float | None = None
        self._selected: deque[tuple[int, Frame]] = deque()  # (segment, frame)
        self.nbytes = 0
        self.farthest = 0.0
        self.holes: list[Hole] = []
        self._finder = HoleFinder() if has_holes and not nearest else None

    def _target_time(self) -> float:
        return (self._next_target + 0.5) * self._hop / self._per_segment

    def _target_segment(self) -> int:
        return self._next_target // self._per_segment

    def add(self, time: float, image: object) -> None:
        """Take the next frame, shown from `time` on (seconds, never before the previous one)."""
        self.skip_to(time)
        holes = [] if self._finder is None else self._finder.until(time)
        if self._current is None:
            self._start(time, image)
        elif holes:
            self._pass_holes(holes, time)
            self._hold(time, image)
            while self._target_time() < time - TIME_TOLERANCE:  # of its own segment
                self._select_current()
        else:
            previous = self._current[0]
            while (target := self._target_time()) < time - TIME_TOLERANCE:
                if self._nearest and time - target < target - previous - TIME_TOLERANCE:
                    break
                self._select_current()
        self._hold(time, image)

    def skip_to(self, time: float) -> None:
        """Note that no further frame starts before `time` seconds."""
        self._video_start = time if self._video_start is None else min(self._video_start, time)
        if self._finder is not None:
            self._finder.note(time)
        if self._current is None or not self._nearest:
            return
        while (target := self._target_time()) < time - TIME_TOLERANCE:
            if time - target < min(target - self._current[0], KEYFRAME_LOOKAHEAD) - TIME_TOLERANCE:
                break
            self._select_current()

    @property
    def complete_until(self) -> float:
        """Seconds up to which every target has its frame."""
        return self._target_segment() * self._hop if self._nearest else (self._current or (0.0,))[0]

    def finish(self, end: float) -> None:
        """Select the last frame for the remaining targets of its segments; the video ends at `end` seconds."""
        if self._current is None:
            return
        last = self._current[0] + TIME_TOLERANCE
        while (start := self._target_segment() * self._hop) < end - TIME_TOLERANCE or start <= last:
            self._select_current()

    def take(self, segment: int) -> tuple[Frame, ...]:
        """Return the frames of a segment in order of time, () if it has no video; forget them and earlier ones."""
        frames = []
        while self._selected and self._selected[0][0] <= segment:
            index, frame = self._selected.popleft()
            self.nbytes -= frame.pixels.nbytes
            if index == segment:
                frames.append(frame)
        self._next_target = max(self._next_target, (segment + 1) * self._per_segment)
        return tuple(frames)

    def photograph(self) -> tuple[Frame, ...]:
        """Return the only frame, for a photograph; () if it cannot be converted."""
        frame = self._convert_current()
        return () if frame is None else (frame,)

    def _start(self, time: float, image: object) -> None:
        """Take the first frame: skip segments before it, and select it for earlier targets of its own segment."""
        self._hold(time, image)
        start = self._video_start if self._nearest and self._video_start is not None else time
        while (self._target_segment() + 1) * self._hop <= start + TIME_TOLERANCE:
            self._next_target += 1
        while self._target_time() < time - TIME_TOLERANCE:
            self._select_current()

    def _pass_holes(self, holes: list[Hole], time: float) -> None:
        """Decide on the targets before the next frame, at `time`, but those of its own segment after the holes."""
        self.holes += holes
        while self._target_time() < time - TIME_TOLERANCE:
            segment = self._target_segment()
            middle = (segment + 0.5) * self._hop
            if middle < holes[0][0] - TIME_TOLERANCE:
                self._select_current()
            elif any(begin - TIME_TOLERANCE <= middle < end - TIME_TOLERANCE for begin, end in holes):
                self._drop_segment(segment)
            elif time < (segment + 1) * self._hop - TIME_TOLERANCE:
                return
            else:
                self._drop_segment(segment)

    def _drop_segment(self, segment: int) -> None:
        """Leave a segment without frames."""
        while self._selected and self._selected[-1][0] == segment:
            self.nbytes -= self._selected.pop()[1].pixels.nbytes
        self._next_target = (segment + 1) * self._per_segment

    def _hold(self, time: float, image: object) -> None:
        self._current, self._converted = (time, image), None

    def _convert_current(self) -> Frame | None:
        if self._converted is None and self._current is not None:
            time, image = self._current
            pixels = self._convert(image)
            self._converted = None if pixels is None else Frame(max(time, 0.0), pixels)
        return self._converted

    def _select_current(self) -> None:
        frame = self._convert_current()
        if frame is not None:
            self._selected.append((self._target_segment(), frame))
            self.farthest = max(self.farthest, abs(self._target_time() - frame.time))
            self.nbytes += frame.pixels.nbytes
        self._next_target += 1
