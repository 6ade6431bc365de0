"""Read the size of the canvas and the times of the frames of a WebP file from its chunks (RFC 9649)."""

from typing import BinaryIO

MIN_SECONDS = 0.011  # shorter frames are shown for DEFAULT_SECONDS, as browsers do, and ffmpeg for GIF
DEFAULT_SECONDS = 0.1


def canvas_size(file: BinaryIO) -> tuple[int, int]:
    """Return the width and height of the canvas; zeros if the header is damaged."""
    file.seek(12)
    name, content = file.read(4), file.read(16)
    width = height = 0
    if name == b"VP8X":
        width, height = (int.from_bytes(content[k : k + 3], "little") + 1 for k in (8, 11))
    elif name == b"VP8L":
        bits = int.from_bytes(content[5:9], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif name == b"VP8 ":
        width, height = (int.from_bytes(content[k : k + 2], "little") & 0x3FFF for k in (10, 12))
    return width, height


def frame_durations(file: BinaryIO) -> list[float]:
    """Return the seconds that each frame of an animation is shown."""
    durations: list[float] = []
    position = 12
    while True:
        file.seek(position)
        chunk = file.read(24)
        if len(chunk) < 24:
            return durations
        if chunk[:4] == b"ANMF":
            seconds = int.from_bytes(chunk[20:23], "little") / 1000
            durations.append(seconds if seconds >= MIN_SECONDS else DEFAULT_SECONDS)
        size = int.from_bytes(chunk[4:8], "little")
        position += 8 + size + size % 2
