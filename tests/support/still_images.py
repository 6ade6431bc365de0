"""Write still images of many kinds with Pillow and pillow-heif."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from tests.support.media_files import corner_frame
from tests.support.side_data import _box

SIZE = (64, 48)  # width, height
ORIENTATION = 0x0112  # the tag of EXIF


def corner_image(size: tuple[int, int] = SIZE) -> Image.Image:
    """Return an image whose corners are red, green, white and blue."""
    return Image.fromarray(corner_frame(size))


def colour_image(size: tuple[int, int] = SIZE) -> Image.Image:
    """Return an image of smoothly changing colours."""
    y, x = np.mgrid[0 : 1 : size[1] * 1j, 0 : 1 : size[0] * 1j]
    return Image.fromarray((255 * np.stack([x, y, 1 - x], -1)).round().astype(np.uint8))


def content(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the bytes of an image file."""
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def write_heic(path: Path, image: Image.Image, orientation: int = 1) -> Path:
    """Write an HEIC file of one image, turned by the orientation's properties irot and imir."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = pillow_heif.from_pillow(image)
    file.save(path, quality=95, exif=exif.tobytes())
    return path


def _full_box(name: bytes, content: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, bytes([version]) + flags.to_bytes(3, "big"), content)


def _find(data: bytes, name: bytes) -> bytes:
    start = data.index(name) - 4
    return data[start : start + int.from_bytes(data[start : start + 4], "big")]


def tiled_heic(path: Path, tile: Image.Image, columns: int, rows: int) -> Path:
    """Write an HEIC file whose image is a grid of equal tiles (ISO/IEC 23008-12, 6.6.2.3), at least 64 x 64."""
    pillow_heif.from_pillow(tile).save(path, quality=95)
    one = path.read_bytes()
    picture = _find(one, b"mdat")[8:]
    n, (width, height) = columns * rows, tile.size
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width * columns, height * rows)
    items = b"".join(_full_box(b"infe", struct.pack(">HH4sB", k + 1, 0, b"hvc1", 0), 2, 1) for k in range(n))
    items += _full_box(b"infe", struct.pack(">HH4sB", n + 1, 0, b"grid", 0), 2)
    tile_size = _full_box(b"ispe", struct.pack(">II", width, height))
    grid_size = _full_box(b"ispe", struct.pack(">II", width * columns, height * rows))
    properties = _box(b"ipco", _find(one, b"hvcC"), tile_size, grid_size)
    links = b"".join(struct.pack(">HBBB", k + 1, 2, 0x81, 2) for k in range(n)) + struct.pack(">HBB", n + 1, 1, 3)
    references = _box(b"dimg", struct.pack(f">HH{n}H", n + 1, n, *range(1, n + 1)))

    def meta(position: int) -> bytes:
        places = b"".join(struct.pack(">HHHHII", k + 1, 0, 0, 1, position, len(picture)) for k in range(n))
        places += struct.pack(">HHHHII", n + 1, 1, 0, 1, 0, len(grid))  # in idat
        boxes = (
            _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            _full_box(b"pitm", struct.pack(">H", n + 1)),
            _full_box(b"iinf", struct.pack(">H", n + 1) + items),
            _full_box(b"iref", references),
            _box(b"iprp", properties, _full_box(b"ipma", struct.pack(">I", n + 1) + links)),
            _full_box(b"iloc", struct.pack(">BBH", 0x44, 0, n + 1) + places, 1),
            _box(b"idat", grid),
        )
        return _full_box(b"meta", b"".join(boxes))

    head = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    position = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(position) + _box(b"mdat", picture))
    return path
