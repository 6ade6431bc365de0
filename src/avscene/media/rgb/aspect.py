"""Read the size at which a frame is displayed, from the shape of its pixels."""

from fractions import Fraction
from typing import Any

import av
from av.filter import Graph
from av.stream import Stream

from avscene.media.rgb.frame_filter import FrameFilter

# Sample aspect ratios beyond it are damage: the widest that formats define are below 3.
MAX_ASPECT = 10
BLOCK = 16  # pixels of a frame's corner that the filter gets, at most


class DisplaySizeReader:
    """Read the display size of frames: width x sample aspect ratio, height.

    A ratio that the container states counts before that of the frame, as in ffmpeg's `av_guess_sample_aspect_ratio`.
    PyAV does not return the ratio of a frame, which may change within a stream (DVB). So a filter of ffmpeg scales a
    corner of the frame to its display width.

    Args:
        stream: The stream of the frames, opened and not yet decoded.
    """

    def __init__(self, stream: Stream | None = None) -> None:
        self._container_ratio = None if stream is None else _container_ratio(stream)
        self._filter = FrameFilter(_display_width_filter)

    def read(self, image: av.VideoFrame) -> tuple[int, int]:
        """Return the width and height in square pixels; a ratio outside 1:10 to 10:1 is ignored."""
        width, height = image.width, image.height
        if self._container_ratio is not None:
            return max(round(width * self._container_ratio), 1), height
        return self._filter(image).width, height


def _container_ratio(stream: Stream) -> Fraction | None:
    """Return the sample aspect ratio of the container, if it differs from the codec's and is plausible."""
    context: Any = stream.codec_context
    ratio: Fraction | None = getattr(stream, "sample_aspect_ratio", None)
    if not ratio or ratio == context.sample_aspect_ratio or not Fraction(1, MAX_ASPECT) <= ratio <= MAX_ASPECT:
        return None
    return ratio


def _display_width_filter(image: av.VideoFrame) -> Graph:
    """Make a filter for frames like `image` whose output is as wide as the frame is displayed, and one pixel high."""
    graph = Graph()
    graph.threads = 1
    ratio = rf"if(between(sar\,1/{MAX_ASPECT}\,{MAX_ASPECT})\,sar\,1)"
    filters = [
        graph.add_buffer(width=image.width, height=image.height, format=image.format, time_base=Fraction(1)),
        graph.add("crop", rf"w=min(iw\,{BLOCK}):h=min(ih\,{BLOCK}):x=0:y=0:exact=1"),
        graph.add("setparams", "colorspace=unknown"),  # the filter after it refuses rare matrices
        graph.add("scale", rf"w=max(round({image.width}*{ratio})\,1):h=1:flags=neighbor:eval=frame"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*filters).configure()
    return graph
