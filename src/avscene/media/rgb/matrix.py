"""Choose the matrix from YCbCr to RGB for frames that do not state it, as players do."""

from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from avscene.media.rgb.hdr import HDR_TRANSFERS
from avscene.records import ByteArray

# Matrices that ffmpeg converts, by the numbers of H.273, table 4. Others are unspecified, reserved or very rare.
CONVERTED_MATRICES = frozenset({1, 4, 5, 6, 7, 9})
YCGCO = 8
BT2020_CONSTANT = 10  # luminance; that of BT.2020 without is near
# From this width on, or above this height, video is taken for high definition, which is BT.709: the rule of mpv
# (`mp_csp_guess_colorspace`), which VLC and Kodi share.
HD_WIDTH, MAX_SD_HEIGHT = 1280, 576


def colour_matrix(image: av.VideoFrame) -> int | None:
    """Return the matrix to convert a frame with, where it states none that ffmpeg can convert; else None."""
    if image.colorspace in CONVERTED_MATRICES or image.format.is_rgb:
        return None
    if image.color_trc in HDR_TRANSFERS or image.colorspace == BT2020_CONSTANT:
        return int(Colorspace.BT2020)
    is_hd = image.width >= HD_WIDTH or image.height > MAX_SD_HEIGHT
    return int(Colorspace.ITU709 if is_hd else Colorspace.ITU601)


def ycgco_to_rgb(planes: Any, color_range: int) -> ByteArray:
    """Convert 8-bit Y, Cg and Co (3, h, w) to RGB (h, w, 3) as H.273 defines them; ffmpeg cannot."""
    y, cg, co = np.asarray(planes, np.float32) - np.array([0, 128, 128], np.float32)[:, None, None]
    rgb = np.stack([y - cg + co, y + cg, y - cg - co], axis=2)
    if color_range != ColorRange.JPEG:  # made from R, G and B in levels of 16 to 235
        rgb = (rgb - 16) * np.float32(255 / 219)
    return np.asarray(np.clip(rgb + 0.5, 0, 255), np.uint8)
