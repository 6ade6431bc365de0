"""Convert decoded video frames to RGB as a player shows them, at the requested size."""

from typing import Any

import av
import numpy as np
from av.stream import Stream
from av.video.reformatter import VideoReformatter

from avscene.media.rgb.aspect import DisplaySizeReader
from avscene.media.rgb.hdr import HDR_TRANSFERS, signal_of, tone_map
from avscene.media.rgb.matrix import YCGCO, colour_matrix, ycgco_to_rgb
from avscene.media.rgb.orientation import DisplayMatrixReader, rotate_upright
from avscene.media.rgb.transparency import has_alpha, over_white
from avscene.records import ByteArray


class RgbConverter:
    """Convert ffmpeg frames to RGB (height, width, 3) whose shorter side is at most `size` pixels.

    The pixels are what a player shows: upright, with square pixels, transparent parts over white, in the range of
    brightness and the primaries of BT.709.

    Args:
        size: Length of the shorter side in pixels; smaller frames are not enlarged.
        stream: The stream of the frames, which may state the shape of its pixels.
    """

    def __init__(self, size: int, stream: Stream | None = None) -> None:
        self._size = size
        self._reformatter = VideoReformatter()
        self._display_size = DisplaySizeReader(stream)
        self._display_matrix = DisplayMatrixReader()

    def __call__(self, image: av.VideoFrame) -> ByteArray:
        """Scale in ffmpeg, then map the tones of the smaller frame and rotate it.

        Raises:
            av.FFmpegError, ValueError: the format or size of the frame cannot be converted.
        """
        width, height = self._display_size.read(image)
        scale = min(1.0, self._size / min(width, height))
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        matrix: Any = image.opaque  # set by `PersistentOrientation`
        return rotate_upright(
            self._to_rgb(image, *size), self._display_matrix.read(image) if matrix is None else matrix
        )

    def _to_rgb(self, image: av.VideoFrame, width: int, height: int) -> ByteArray:
        if image.color_trc in HDR_TRANSFERS:
            deep = self._scale(image, width, height, "rgb48le")
            return tone_map(signal_of(deep.to_ndarray(), image.format.is_rgb), HDR_TRANSFERS[image.color_trc])
        if image.colorspace == YCGCO and not image.format.is_rgb:
            return ycgco_to_rgb(self._scale(image, width, height, "yuv444p").to_ndarray(), image.color_range)
        if has_alpha(image):
            full = self._scale(image, image.width, image.height, "rgba")
            image = over_white(full.to_ndarray()) or image
        return np.asarray(self._scale(image, width, height, "rgb24").to_ndarray(), np.uint8)

    def _scale(self, image: av.VideoFrame, width: int, height: int, pixel_format: str) -> av.VideoFrame:
        matrix = colour_matrix(image)
        return self._reformatter.reformat(
            image,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            interpolation="BICUBIC",
        )
