"""Recognize still images by their first bytes, and tell joined photographs from videos made of JPEG or PNG images."""

import re
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from avscene.media.images.heif import is_still_heif

HEAD_BYTES = 4096  # at least, so that the list of brands at the beginning of a HEIF file is complete
# Joined images of one size from which on a file is a video (as of webcams), not a photograph with further images.
MIN_VIDEO_IMAGES = 5
MAX_SEARCHED_BYTES = 2**28  # in which these must lie
MAX_JPEG_SEGMENTS = 1000  # of one header
IMAGE_LIST = b"MPF\0"  # of the images in a JPEG file (multi-picture format, CIPA DC-007)
IMAGE_LIST_BYTES = 2**18  # in which it begins, after EXIF data and an ICC profile


class ImageFormat(NamedTuple):
    """A format and the class of Pillow or its plugin that reads it, by name: they are imported when they are needed."""

    module: str
    reader: str
    may_be_video: bool = False  # which FFmpeg reads


JPEG = ImageFormat("PIL.JpegImagePlugin", "JpegImageFile")
PNG = ImageFormat("PIL.PngImagePlugin", "PngImageFile", may_be_video=True)
WEBP = ImageFormat("PIL.WebPImagePlugin", "WebPImageFile")
TIFF = ImageFormat("PIL.TiffImagePlugin", "TiffImageFile")
AVIF = ImageFormat("PIL.AvifImagePlugin", "AvifImageFile")
HEIC = ImageFormat("pillow_heif", "HeifImageFile")
JPEG2000 = ImageFormat("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile")
# The only readers that may open a file. None of them starts a program or opens another file.
FORMATS: tuple[tuple[bytes, ImageFormat], ...] = (
    (rb"\xff\xd8\xff", JPEG),
    (rb"\x89PNG\r\n\x1a\n", PNG),
    (rb"GIF8[79]a", ImageFormat("PIL.GifImagePlugin", "GifImageFile", may_be_video=True)),
    (rb"RIFF.{4}WEBP", WEBP),
    (rb"II[*+]\0|MM\0[*+]", TIFF),
    (rb"BM", ImageFormat("PIL.BmpImagePlugin", "BmpImageFile")),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", JPEG2000),
)


def read_format(file: BinaryIO) -> ImageFormat | None:
    """Return the format of a still image or an animated WebP; None for anything else."""
    head = file.read(HEAD_BYTES)
    found = next((form for pattern, form in FORMATS if re.match(pattern, head, re.DOTALL)), None)
    if is_still_heif(file):
        found = AVIF if head[8:12] == b"avif" or b"avif" in head[16 : int.from_bytes(head[:4], "big")] else HEIC
    if (found is JPEG and _is_video(file, _JPEG_JOINT, _jpeg_size)) or (
        found is PNG and _is_video(file, _PNG_JOINT, _png_size)
    ):
        found = None
    file.seek(0)
    return found


# The end of an image and the beginning of the next one, as a group; cameras fill up with zeros or ones in between.
_JPEG_JOINT = re.compile(rb"\xff\xd9[\0\xff]{0,4096}?(\xff\xd8\xff)")
_PNG_JOINT = re.compile(rb"IEND\xaeB`\x82(\x89PNG\r\n\x1a\n)")


def _is_video(file: BinaryIO, joint: re.Pattern[bytes], size: Callable[[bytes, int], tuple[int, int] | None]) -> bool:
    """Return whether MIN_VIDEO_IMAGES of one size are joined, and no list of images names them as one photograph."""
    file.seek(0)
    content = file.read(IMAGE_LIST_BYTES)
    if IMAGE_LIST in content:
        return False
    first = size(content, 0)
    n_images = 1
    content += file.read(MAX_SEARCHED_BYTES - len(content))
    for match in joint.finditer(content):
        if size(content, match.start(1)) != first:
            return False
        n_images += 1
        if n_images == MIN_VIDEO_IMAGES:
            return True
    return False


def _jpeg_size(data: bytes, position: int) -> tuple[int, int] | None:
    """Return width and height from the frame header of the JPEG at `position`; None if it has none."""
    position += 2
    for _ in range(MAX_JPEG_SEGMENTS):
        if data[position : position + 1] != b"\xff":
            return None
        marker = data[position + 1 : position + 2]
        if marker == b"\xff":  # fill byte
            position += 1
        elif re.match(rb"[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf]", marker):
            height, width = data[position + 5 : position + 7], data[position + 7 : position + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _png_size(data: bytes, position: int) -> tuple[int, int]:
    width, height = data[position + 16 : position + 20], data[position + 20 : position + 24]
    return int.from_bytes(width, "big"), int.from_bytes(height, "big")
