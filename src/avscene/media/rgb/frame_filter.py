"""Apply a filter of ffmpeg to frames whose size and pixel format may change."""

from collections.abc import Callable
from typing import Any

import av
from av.filter import Graph


class FrameFilter:
    """A filter that is made again when the size or pixel format of the frames changes.

    Args:
        make: Makes the filter for frames like the one that it gets.
    """

    def __init__(self, make: Callable[[av.VideoFrame], Graph]) -> None:
        self._make = make
        self._graph: Graph | None = None
        self._input: tuple[int, int, str] | None = None  # width, height, pixel format

    def __call__(self, image: av.VideoFrame) -> Any:
        """Return the filtered frame.

        Raises:
            BlockingIOError: the filter drops this frame.
        """
        properties = (image.width, image.height, image.format.name)
        if self._graph is None or self._input != properties:
            self._graph, self._input = self._make(image), properties
        self._graph.push(image)
        return self._graph.pull()
