"""Convert decoded video frames to upright RGB at the requested size."""

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from avscene.media.rgb.orientation import DisplayMatrixReader, rotate_upright
from avscene.records import ByteArray


class RgbConverter:
    """Convert ffmpeg frames to upright RGB (height, width, 3) whose shorter side is at most `size` pixels."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._reformatter = VideoReformatter()
        self._display_matrix = DisplayMatrixReader()

    def __call__(self, image: av.VideoFrame) -> ByteArray:
        """Scale in ffmpeg, then rotate the smaller frame.

        Raises:
            av.FFmpegError, ValueError: the format or size of the frame cannot be converted.
        """
        scale = min(1.0, self._size / min(image.width, image.height))
        small = self._reformatter.reformat(
            image,
            width=max(round(image.width * scale), 1),
            height=max(round(image.height * scale), 1),
            format="rgb24",
            interpolation="BICUBIC",
        )
        return rotate_upright(np.asarray(small.to_ndarray(), np.uint8), self._display_matrix.read(image))
