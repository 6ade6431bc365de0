"""Put frames into one JPEG image, as thumbnails."""

import io
from collections.abc import Sequence

from avscene.records import Frame
from avscene.server.previews.preview import Thumbnails

HEIGHT = 90  # pixels of a tile
MAX_WIDTH = 240  # pixels of a tile; those of wider frames are less high
MAX_TILES = 60
_COLUMNS = 10
_QUALITY = 75


def make_sprite(frames: Sequence[Frame]) -> tuple[Thumbnails, bytes]:
    """Return the thumbnails of one or more frames, at most MAX_TILES of them, and their image as JPEG.

    All tiles have the shape of the first frame.
    """
    from PIL import Image

    chosen = _spread(frames)
    rows, columns = chosen[0].pixels.shape[:2]
    scale = min(HEIGHT / rows, MAX_WIDTH / columns)
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    in_row = min(_COLUMNS, len(chosen))
    sprite = Image.new("RGB", (in_row * width, -(-len(chosen) // in_row) * height))
    for number, frame in enumerate(chosen):
        tile = Image.fromarray(frame.pixels).resize((width, height), Image.Resampling.LANCZOS)
        sprite.paste(tile, (number % in_row * width, number // in_row * height))
    content = io.BytesIO()
    sprite.save(content, "JPEG", quality=_QUALITY, optimize=True)
    times = tuple(round(frame.time, 3) for frame in chosen)
    return Thumbnails(width, height, in_row, times), content.getvalue()


def _spread(frames: Sequence[Frame]) -> list[Frame]:
    """Return MAX_TILES of the frames with equal steps between them, or all if there are fewer."""
    count = min(len(frames), MAX_TILES)
    return [frames[(2 * k + 1) * len(frames) // (2 * count)] for k in range(count)]
