"""Encode a frame as a small JPEG image inside a page."""

import base64
import io

from avscene.records import ByteArray


def jpeg_data_uri(pixels: ByteArray, side: int, quality: int) -> str:
    """Return an RGB frame (height, width, 3) as a data URI; its longer side is scaled down to at most `side` pixels."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
