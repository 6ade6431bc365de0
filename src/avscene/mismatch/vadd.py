"""Lists of which sound goes with which picture, to pairs: our tables and the published lists of VADD."""

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.mismatch.pairs import RecordingPair
from avscene.tables.delimited import read_delimited
from avscene.tables.score_table import ScoreTable

# The three classes of VADD's easier variant.
KINDS: Mapping[str, str] = {
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
ANSWERS = {"0": False, "1": True}
_ANSWER_COLUMNS = ("mismatch", "label")


def read_pairs(path: Path) -> list[RecordingPair]:
    """The pairs of a table with columns `audio`, `video` and perhaps `mismatch` (or `label`): 1 where they differ.

    Raises:
        DataError: the file is no such table; a name is empty, an answer neither 0 nor 1, a pair is there twice.
    """
    file = read_delimited(path)
    if missing := [name for name in ("audio", "video") if name not in file.columns]:
        raise DataError(
            f"{path}, line 1: no column {missing[0]}; a list of pairs has audio, video and perhaps mismatch"
        )
    answer = next((name for name in _ANSWER_COLUMNS if name in file.columns), None)
    found: dict[tuple[str, str], RecordingPair] = {}
    answers = ("",) * len(file) if answer is None else file.cells(answer)
    names = zip(file.filled_cells("audio"), file.filled_cells("video"), strict=True)
    for row, ((audio, video), told) in enumerate(zip(names, answers, strict=True)):
        pair = audio.strip(), video.strip()
        if answer is not None and told.strip() not in ANSWERS:
            raise file.error_at(row, answer, f"{told!r} is neither 0 nor 1")
        if pair in found:
            raise file.error_at(row, "video", f"{pair[0]!r} with {pair[1]!r} is there twice")
        found[pair] = RecordingPair(*pair, ANSWERS.get(told.strip()))
    return list(found.values())


def read_vadd(manipulated: Path, pristine: Path) -> list[RecordingPair]:
    """The pairs of the two published lists of a variant: `vadd_10_manipulated.txt` and `vadd_10_swaps.txt`, or 3.

    Visual-audio discrepancy detection (Apostolidis et al.: Visual and Audio Scene Classification for Detecting
    Discrepancies in Video, MAD 2024; github.com/IDT-ITI/Visual-Audio-Discrepancy-Detection) takes the test recordings
    of TAU, half of them as they are and half with exchanged sound. A line of a list is `['NAME.mp4', 'CLASS']`. Which
    sound went where is not written down. The lines of the first list, taken two by two, differ in class, and we read
    them so: these two exchanged their sound. The recordings of the second list keep theirs.

    Raises:
        DataError: a line is something else, the number of manipulated ones is odd, or two of one class would exchange.
    """
    exchanged, kept = _read_list(manipulated), _read_list(pristine)
    if len(exchanged) % 2:
        raise DataError(f"{manipulated}: {len(exchanged)} lines; recordings exchange their sound two by two")
    pairs = []
    for line in range(0, len(exchanged), 2):
        (first, one), (second, other) = exchanged[line : line + 2]
        if one == other:
            raise DataError(f"{manipulated}, line {line + 1}: {first!r} and the next are both {one!r}: no discrepancy")
        pairs += [RecordingPair(second, first, mismatch=True), RecordingPair(first, second, mismatch=True)]
    return pairs + [RecordingPair(name, name, mismatch=False) for name, _ in kept]


def three_classes(table: ScoreTable) -> ScoreTable:
    """A table of the ten TAU scenes as one of indoor, outdoor and vehicle: probabilities summed.

    Raises:
        DataError: it has other scenes.
    """
    if foreign := sorted(set(table.labels) ^ set(KINDS)):
        raise DataError(
            f"{table.source}: the three classes are of the ten TAU scenes; {foreign[0]!r} is only on one side"
        )
    labels = LabelSet.of(KINDS.values())
    belongs = np.array([[KINDS[scene] == kind for kind in labels] for scene in table.labels], dtype=np.float64)
    truth = None if table.truth is None else tuple(KINDS[scene] for scene in table.truth)
    return replace(table, labels=labels, probabilities=table.probabilities @ belongs, truth=truth)


def _read_list(path: Path) -> list[tuple[str, str]]:
    """Name and class of each line of a published list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, kind = map(str, ast.literal_eval(line.strip()))
        except (SyntaxError, ValueError, TypeError):
            raise DataError(f"{path}, line {number}: is not of the form ['NAME.mp4', 'CLASS']") from None
        found.append((name, kind))
    if not found:
        raise DataError(f"{path}: has no line of the form ['NAME.mp4', 'CLASS']")
    return found
