"""Draw the number of a frame into its pixels, and read it and the orientation again.

The image has 6 x 4 cells, black or white: six fixed ones that show which side is up, 12 bits of the number, and 6 check
bits.
"""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

COLUMNS, ROWS = 6, 4
BLACK, WHITE = 40, 215
MAX_NUMBER = 2**12 - 1
MIN_CONTRAST = 40
# (row, column) -> value. No turn or mirror image of them is the same.
MARKER = {(0, 0): 1, (0, 1): 1, (1, 0): 0, (0, 5): 0, (3, 0): 0, (3, 5): 0}
CELLS = [(row, column) for row in range(ROWS) for column in range(COLUMNS) if (row, column) not in MARKER]
ORIENTATIONS = ("upright", "90", "180", "270", "mirrored", "mirrored 90", "mirrored 180", "mirrored 270")


def _check_bits(number: int) -> int:
    return number % 61


def draw(number: int, width: int = 128, height: int = 96) -> Pixels:
    """Return an image (height, width) that shows `number`."""
    grid = np.zeros((ROWS, COLUMNS), np.uint8)
    for cell, value in MARKER.items():
        grid[cell] = value
    bits = number << 6 | _check_bits(number)
    for index, cell in enumerate(CELLS):
        grid[cell] = bits >> index & 1
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    return np.where(grid[rows][:, columns], WHITE, BLACK).astype(np.uint8)


def _read_upright(grey: npt.NDArray[np.float64]) -> int | None:
    height, width = grey.shape
    if height < 2 * ROWS or width < 2 * COLUMNS:
        return None
    grid = np.zeros((ROWS, COLUMNS))
    for row in range(ROWS):
        for column in range(COLUMNS):
            top, bottom = round((row + 0.25) * height / ROWS), round((row + 0.75) * height / ROWS)
            left, right = round((column + 0.25) * width / COLUMNS), round((column + 0.75) * width / COLUMNS)
            grid[row, column] = grey[top : bottom + 1, left : right + 1].mean()
    if np.ptp(grid) < MIN_CONTRAST:
        return None
    bright = grid > (grid.max() + grid.min()) / 2
    if any(bright[cell] != value for cell, value in MARKER.items()):
        return None
    bits = sum(int(bright[cell]) << index for index, cell in enumerate(CELLS))
    number = bits >> 6
    return number if bits & 63 == _check_bits(number) else None


def read(pixels: Pixels) -> tuple[int, str] | None:
    """Return the number that an image (height, width, 3) shows and how it is turned; None if it shows none."""
    grey = pixels.astype(np.float64).mean(axis=2)
    for index, orientation in enumerate(ORIENTATIONS):
        turned = np.rot90(grey, index % 4)
        number = _read_upright(turned[:, ::-1] if index >= 4 else turned)
        if number is not None:
            return number, orientation
    return None
