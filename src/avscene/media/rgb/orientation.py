"""Rotate frames upright, as their display matrix asks."""

from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph
from av.sidedata.sidedata import Type as SideData

from avscene.media.rgb.frame_filter import FrameFilter
from avscene.records import ByteArray

DISPLAY_MATRIX = int(cast(Any, SideData.DISPLAYMATRIX).value)  # PyAV's stubs give its members no type
# More than ffmpeg has (32 in version 8); the numbers of kinds that it does not have do no harm.
MAX_SIDE_DATA_KINDS = 64


def rotate_upright(pixels: ByteArray, matrix: npt.NDArray[np.int32]) -> ByteArray:
    """Rotate and mirror pixels (h, w, 3) by quarter turns as a display matrix (2, 2) asks.

    A point (x, y), y down, is shown at (a x + c y, b x + d y), where `matrix` is ((a, b), (c, d)). Of other angles the
    nearest quarter turn is taken. A matrix that maps the frame to a line or a point (all zeros, as some writers of mp4
    leave it) asks for nothing.
    """
    (a, b), (c, d) = matrix.tolist()
    if a * d == b * c:
        return pixels
    if abs(b) > abs(a):
        pixels = pixels.transpose(1, 0, 2)
        a, d = c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


class DisplayMatrixReader:
    """Read the display matrix of frames, which an EXIF orientation sets too, without touching other side data.

    PyAV wraps all side data of a frame at once. It refuses kinds that it does not know (EXIF), and frees the name of an
    ICC profile a second time, which ends the process. So a filter of ffmpeg removes all other kinds before.
    """

    def __init__(self) -> None:
        self._filter = FrameFilter(_display_matrix_filter)

    def read(self, image: av.VideoFrame) -> npt.NDArray[np.int32]:
        """Return the matrix (2, 2) of a frame, without its translation; the identity if it has none."""
        try:
            filtered = self._filter(image)
        except BlockingIOError:  # the filter drops frames that have no matrix
            return np.eye(2, dtype=np.int32)
        matrices = filtered.side_data  # that of the container first, then that of the frame, which counts
        return np.frombuffer(bytes(matrices[len(matrices) - 1]), np.int32).reshape(3, 3)[:2, :2]


def _display_matrix_filter(image: av.VideoFrame) -> Graph:
    """Make a filter for frames like `image` that passes those with a display matrix, without other side data."""
    graph = Graph()
    graph.threads = 1
    filters = [graph.add_buffer(width=image.width, height=image.height, format=image.format, time_base=Fraction(1))]
    filters.append(graph.add("sidedata", f"mode=select:type={DISPLAY_MATRIX}"))
    others = (kind for kind in range(MAX_SIDE_DATA_KINDS) if kind != DISPLAY_MATRIX)
    filters += [graph.add("sidedata", f"mode=delete:type={kind}") for kind in others]
    graph.link_nodes(*filters, graph.add("buffersink")).configure()
    return graph
