"""Decoded images -> upright RGB at the asked size, at the asked times."""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import VideoReformatter

from avscene.records import ByteArray, Frame

Image = TypeVar("Image")

SLACK = 1e-6  # seconds; timestamps are fractions, targets are sums of floats
# Seconds that a target waits for a nearer keyframe: files with one keyframe at their beginning would wait for
# ever.
KEYFRAME_LOOKAHEAD = 10.0


class Renderer:
    """An ffmpeg image -> pixels (height, width, 3), upright; the shorter side at most `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._reformatter = VideoReformatter()

    def __call__(self, image: av.VideoFrame) -> ByteArray:
        """Scale inside ffmpeg, then turn the small image.

        Raises:
            av.FFmpegError, ValueError: the image has a format or a size that cannot be converted.
        """
        scale = min(1.0, self._size / min(image.width, image.height))
        small = self._reformatter.reformat(
            image,
            width=max(round(image.width * scale), 1),
            height=max(round(image.height * scale), 1),
            format="rgb24",
            interpolation="BICUBIC",
        )
        return upright(np.asarray(small.to_ndarray(), np.uint8), image)


def upright(pixels: ByteArray, image: av.VideoFrame) -> ByteArray:
    """Turn and mirror pixels (h, w, 3) as a phone's display matrix or a photograph's EXIF asks."""
    matrix = _display_matrix(image)
    if matrix is None:
        turns = round(image.rotation / 90)
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns % 4 else pixels
    (a, b), (c, d) = matrix  # a point (x, y), y down, is shown at (a x + c y, b x + d y)
    if abs(b) > abs(a):
        pixels = pixels.transpose(1, 0, 2)
        a, d = c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _display_matrix(image: av.VideoFrame) -> npt.NDArray[np.int32] | None:
    try:
        found: Any = image.side_data.get(SideData.DISPLAYMATRIX)  # type: ignore[call-overload]
    except ValueError:  # PyAV lists none if it does not know one kind (EXIF): turned then, never mirrored
        return None
    if found is None:
        return None
    matrix = np.frombuffer(bytes(found), np.int32).reshape(3, 3)[:2, :2]
    return matrix if matrix.any() else None


class FrameSampler:
    """Picks the frame shown at each target time.

    Each segment of `hop` seconds has `per_segment` evenly spaced targets. Sample and hold: the frame shown at
    `t` is the last that began by then. Before the first frame and after the end of the picture the nearest
    frame serves, if it is shown within the same segment. So a segment has all its frames or none. With
    `nearest` (keyframes only) the nearer of the two neighbours is taken instead of the last.
    """

    def __init__(
        self, hop: float, per_segment: int, render: Callable[[Any], ByteArray | None], nearest: bool = False
    ) -> None:
        self._hop, self._per_segment = hop, per_segment
        self._render, self._nearest = render, nearest
        self._next = 0  # target
        self._current: tuple[float, Any] | None = None
        self._rendered: Frame | None = None
        self._begin: float | None = None
        self._found: deque[tuple[int, Frame]] = deque()  # (segment, frame)
        self.nbytes = 0

    def _target(self) -> float:
        return (self._next + 0.5) * self._hop / self._per_segment

    def _segment(self) -> int:
        return self._next // self._per_segment

    def add(self, time: float, image: object) -> None:
        """Take the next image, shown from `time` (seconds, never before the one before it)."""
        self.passed(time)
        if self._current is None:
            self._lead_in(time, image)
        else:
            old = self._current[0]
            while (target := self._target()) < time - SLACK:
                if self._nearest and time - target < target - old:
                    break
                self._resolve()
        self._show(time, image)

    def passed(self, time: float) -> None:
        """No image that begins before `time` will come any more; only told where images are skipped."""
        self._begin = time if self._begin is None else min(self._begin, time)
        if self._current is None or not self._nearest:
            return
        while (target := self._target()) < time - SLACK:
            if time - target < min(target - self._current[0], KEYFRAME_LOOKAHEAD):
                break
            self._resolve()

    @property
    def mark(self) -> float:
        """Seconds up to which every target has its frame."""
        return self._segment() * self._hop if self._nearest else (self._current or (0.0,))[0]

    def finish(self, end: float) -> None:
        """The picture ends at `end` seconds: the last image serves the targets left in its segments."""
        if self._current is None:
            return
        while (start := self._segment() * self._hop) < end - SLACK or (start <= self._current[0] + SLACK):
            self._resolve()

    def take(self, segment: int) -> tuple[Frame, ...]:
        """The frames of a segment, in the order of time, () if it has no picture; earlier ones are let go."""
        frames = []
        while self._found and self._found[0][0] <= segment:
            index, frame = self._found.popleft()
            self.nbytes -= frame.pixels.nbytes
            if index == segment:
                frames.append(frame)
        self._next = max(self._next, (segment + 1) * self._per_segment)
        return tuple(frames)

    def still(self) -> tuple[Frame, ...]:
        """The image itself, for a photograph."""
        frame = self._rendering()
        return () if frame is None else (frame,)

    def _lead_in(self, time: float, image: object) -> None:
        self._show(time, image)
        begin = self._begin if self._nearest and self._begin is not None else time
        while (self._segment() + 1) * self._hop <= begin + SLACK:
            self._next += 1
        while self._target() < time - SLACK:
            self._resolve()

    def _show(self, time: float, image: object) -> None:
        self._current, self._rendered = (time, image), None

    def _rendering(self) -> Frame | None:
        if self._rendered is None and self._current is not None:
            time, image = self._current
            pixels = self._render(image)
            self._rendered = None if pixels is None else Frame(max(time, 0.0), pixels)
        return self._rendered

    def _resolve(self) -> None:
        frame = self._rendering()
        if frame is not None:
            self._found.append((self._segment(), frame))
            self.nbytes += frame.pixels.nbytes
        self._next += 1
