"""Change the display matrix of an mp4's track."""

import struct
from collections.abc import Sequence
from pathlib import Path

MATRIX_OFFSET = 44  # bytes from the name of a version 0 `tkhd` to its matrix (ISO/IEC 14496-12, 8.3.2)
# The eight matrices ((a, b), (c, d)) that keep rows and columns, by what they do to the frame.
UPRIGHT_MATRICES = {
    "none": (1, 0, 0, 1),
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside_down": (1, 0, 0, -1),
    "diagonal": (0, 1, 1, 0),
    "other_diagonal": (0, -1, -1, 0),
}


def set_matrix(path: Path, values: Sequence[float]) -> Path:
    """Write a, b, c, d into the matrix of the first track of an mp4, the other values as in an upright one."""
    a, b, c, d = (round(value * 2**16) for value in values)
    content = bytearray(path.read_bytes())
    position = content.index(b"tkhd") + MATRIX_OFFSET
    content[position : position + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 2**30)
    path.write_bytes(content)
    return path
