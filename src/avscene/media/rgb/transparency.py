"""Composite frames with transparent pixels over white."""

from typing import Any

import av
import numpy as np


def has_alpha(image: av.VideoFrame) -> bool:
    """Whether pixels of this format may be transparent (colours of a palette may)."""
    pixel_format = image.format
    return pixel_format.has_palette or any(component.is_alpha for component in pixel_format.components)


def over_white(rgba: Any) -> av.VideoFrame | None:
    """Composite pixels (h, w, 4), whose colours are not multiplied by alpha, over white; None if all are opaque."""
    alpha = rgba[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return None
    blended = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return av.VideoFrame.from_ndarray(blended.astype(np.uint8), format="rgb24")
