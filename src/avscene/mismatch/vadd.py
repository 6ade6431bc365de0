"""Read lists that pair the audio and video of recordings: tables, and the published lists of VADD."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from avscene.errors import DataError
from avscene.files import read_text
from avscene.labels import LabelSet
from avscene.mismatch.pairs import RecordingPair
from avscene.tables.delimited import read_delimited
from avscene.tables.score_table import ScoreTable

# The three classes of VADD's easier variant.
THREE_CLASSES: Mapping[str, str] = {
    "airport": "indoor",
    "bus": "vehicle",
    "metro": "vehicle",
    "metro_station": "indoor",
    "park": "outdoor",
    "public_square": "outdoor",
    "shopping_mall": "indoor",
    "street_pedestrian": "outdoor",
    "street_traffic": "outdoor",
    "tram": "vehicle",
}
MISMATCH_VALUES = {"0": False, "1": True}
MISMATCH_COLUMNS = ("mismatch", "label")


def read_pairs(path: Path) -> list[RecordingPair]:
    """Read a table with columns `audio`, `video` and optionally `mismatch` or `label`, 1 for a mismatch and else 0.

    Raises:
        DataError: the file is not such a table; a name is empty, a mismatch neither 0 nor 1, a pair given twice.
    """
    file = read_delimited(path)
    if missing := [name for name in ("audio", "video") if name not in file.columns]:
        raise file.no_column(missing[0])
    column = next((name for name in MISMATCH_COLUMNS if name in file.columns), None)
    found: dict[tuple[str, str], RecordingPair] = {}
    cells = ("",) * len(file) if column is None else file.cells(column)
    names = zip(file.filled_cells("audio"), file.filled_cells("video"), strict=True)
    for row, ((audio, video), cell) in enumerate(zip(names, cells, strict=True)):
        pair = audio.strip(), video.strip()
        if column is not None and cell.strip() not in MISMATCH_VALUES:
            raise file.error_at(row, column, f"{cell!r} is neither 0 nor 1")
        if pair in found:
            raise file.error_at(row, "video", f"{pair[0]!r} with {pair[1]!r} is given twice")
        found[pair] = RecordingPair(*pair, MISMATCH_VALUES.get(cell.strip()))
    return list(found.values())


def read_vadd(manipulated: Path, pristine: Path) -> list[RecordingPair]:
    """Read the two published lists of a variant: `vadd_10_manipulated.txt` and `vadd_10_swaps.txt`, or those with 3.

    Visual-audio discrepancy detection (Apostolidis et al.: Visual and Audio Scene Classification for Detecting
    Discrepancies in Video, MAD 2024; github.com/IDT-ITI/Visual-Audio-Discrepancy-Detection) uses the test recordings of
    TAU, half of them unchanged and half with swapped audio. A line of a list is `['NAME.mp4', 'CLASS']`. The lists do
    not say which audio was paired with which video. The lines of the first list, taken two by two, differ in class: we
    assume that these two recordings swapped their audio. The recordings of the second list are unchanged.

    Raises:
        DataError: a line has another form, the number of manipulated recordings is odd, or two of one class are
            paired.
    """
    swapped, intact = _read_list(manipulated), _read_list(pristine)
    if len(swapped) % 2:
        raise DataError(f"{manipulated}: {len(swapped)} lines; recordings swap their audio in pairs")
    pairs = []
    for line in range(0, len(swapped), 2):
        (first, first_class), (second, second_class) = swapped[line : line + 2]
        if first_class == second_class:
            problem = f"{first!r} and the next are both {first_class!r}: no discrepancy"
            raise DataError(f"{manipulated}, line {line + 1}: {problem}")
        pairs += [RecordingPair(second, first, mismatch=True), RecordingPair(first, second, mismatch=True)]
    return pairs + [RecordingPair(name, name, mismatch=False) for name, _ in intact]


def merge_into_three_classes(table: ScoreTable) -> ScoreTable:
    """Merge the ten TAU scenes of a table into indoor, outdoor and vehicle by summing their probabilities.

    Raises:
        DataError: the table has different scenes.
    """
    if different := sorted(set(table.labels) ^ set(THREE_CLASSES)):
        raise DataError(
            f"{table.source}: the three classes are of the ten TAU scenes, but the table differs in {different[0]!r}"
        )
    labels = LabelSet.of(THREE_CLASSES.values())
    membership = np.array([[THREE_CLASSES[scene] == name for name in labels] for scene in table.labels], dtype=float)
    truth = None if table.truth is None else tuple(THREE_CLASSES[scene] for scene in table.truth)
    return replace(table, labels=labels, probabilities=table.probabilities @ membership, truth=truth)


def _read_list(path: Path) -> list[tuple[str, str]]:
    """Name and class of each line of a published list."""
    lines = read_text(path).splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, class_name = map(str, ast.literal_eval(line.strip()))
        except (SyntaxError, ValueError, TypeError):
            raise DataError(f"{path}, line {number}: not of the form ['NAME.mp4', 'CLASS']") from None
        found.append((name, class_name))
    if not found:
        raise DataError(f"{path}: has no line of the form ['NAME.mp4', 'CLASS']")
    return found
