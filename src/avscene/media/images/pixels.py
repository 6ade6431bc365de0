"""Convert images of any kind that Pillow has decoded to upright RGB in sRGB, composited over white."""

import io
from typing import TYPE_CHECKING

import numpy as np

from avscene.records import ByteArray

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112  # the tag of EXIF
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of TIFF
WHITE_IS_ZERO = 0
# Averages of squares come before bicubic scaling, down to three times the size: 5 times as fast, by less than 1 of 255.
REDUCING_GAP = 3.0
# The names of each mode's colours in ICC profiles.
COLOUR_SPACES = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}


def read_orientation(image: "Image.Image") -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is absent or damaged."""
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001  # damaged EXIF data raise errors of many types
        return 1
    return orientation if orientation in range(1, 9) else 1


def reduce_to_8_bits(image: "Image.Image") -> tuple["Image.Image", str | None]:
    """Return an image of one byte per value, and a warning if the range of its values had to be guessed.

    Images of 16 bits keep their upper 8, as those of Pillow in colour do. Floating-point numbers and integers of 32
    bits have no range of their own: those in [0, 1] are kept, others are scaled from their least to their largest.
    """
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image, None
    warning = None
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if values.dtype.itemsize == 2:
        n_bits = min(max(tags.get(BITS_PER_SAMPLE, (16,))), 16)
        pixels = (values >> max(n_bits - 8, 0)).clip(0, 255).astype(np.uint8)
    else:
        finite = np.isfinite(values)
        present = values[finite]
        low, high = (float(present.min()), float(present.max())) if len(present) else (0.0, 0.0)
        if image.mode == "F" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        else:
            warning = f"its values have no usual range: those from {low:g} to {high:g} were scaled to black and white"
        scaled = np.where(finite, values - low, 0) * (255 / max(high - low, np.finfo(float).tiny))
        pixels = scaled.round().clip(0, 255).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        pixels = 255 - pixels
    plain = Image.fromarray(pixels)
    plain.info = {k: v for k, v in image.info.items() if k == "icc_profile"}
    return plain, warning


def to_upright_rgb(image: "Image.Image", orientation: int, size: int) -> ByteArray:
    """Return upright RGB (height, width, 3) whose shorter side is at most `size` pixels, as a viewer shows it.

    The colours are converted after scaling, since that takes time in proportion to the pixels.
    """
    from PIL import Image

    scale = min(1.0, size / min(image.size))
    width, height = (max(round(length * scale), 1) for length in image.size)
    profile = image.info.get("icc_profile")
    small = _scalable(image)
    if (width, height) != image.size:
        small = small.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    alpha = small.getchannel("A") if small.mode == "RGBA" else None
    rgb = _to_srgb(small.convert("RGB") if alpha else small, profile)
    if alpha is not None:
        white = Image.new("RGB", rgb.size, "white")
        white.paste(rgb, mask=alpha)
        rgb = white
    methods = Image.Transpose
    transpose = {
        2: methods.FLIP_LEFT_RIGHT,
        3: methods.ROTATE_180,
        4: methods.FLIP_TOP_BOTTOM,
        5: methods.TRANSPOSE,
        6: methods.ROTATE_270,
        7: methods.TRANSVERSE,
        8: methods.ROTATE_90,
    }
    if orientation in transpose:
        rgb = rgb.transpose(transpose[orientation])
    return np.array(rgb, np.uint8)


def _scalable(image: "Image.Image") -> "Image.Image":
    """Return an image in a mode whose values can be averaged: L, RGB, RGBA, CMYK or LAB."""
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image if image.mode in ("CMYK", "LAB") else image.convert("RGB")


def _to_srgb(image: "Image.Image", profile: bytes | None) -> "Image.Image":
    """Convert colours to sRGB by the image's ICC profile; as Pillow does if it is absent or damaged."""
    if profile is None and image.mode != "LAB":
        return image.convert("RGB")
    from PIL import Image, ImageCms

    try:
        if image.mode == "LAB" or profile is None:
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() == COLOUR_SPACES[image.mode]:
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if isinstance(converted, Image.Image):
                return converted
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a damaged profile
        pass
    return image.convert("RGB")
