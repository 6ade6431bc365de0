"""Prediction tables: what a system says of every segment or recording, read from and written to text files.

Columns: `filename` (or `aid`), optional `start` (seconds), `group` and a truth, then one probability column
per scene, matched by name. The truth is `true_label`; in tables with both `scene_pred` and `scene_label` it
is `scene_label`. In our own tables `scene_label` is the answer, never the truth. Where every name reads like
TAU's `airport-lisbon-1175-44106` (scene, city, location, clip), an absent truth is taken from the names, and
so is an absent group (the location). `modality` says in every row what the system looks at: audio, video or both.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avscene.errors import DataError, UsageError
from avscene.files import write_text
from avscene.labels import LabelSet
from avscene.records import MODALITY_NAMES, FloatArray, Needs
from avscene.tables.delimited import Delimited, read_delimited
from avscene.tables.names import Place, spellings, tau_place
from avscene.tables.rounding import EXACT, rescaled, rounding_step, sum_error
from avscene.tables.score_table import ScoreTable

__all__ = ["ScoreTable", "read_table", "with_truth", "write_table"]

ID_COLUMNS = ("filename", "aid")
META_COLUMNS = (*ID_COLUMNS, "start", "group", "true_label", "scene_label", "scene_pred", "modality")
READ_TOLERANCE = 0.01  # of a sum; beyond this, and beyond what the decimals explain, they are no probabilities
SIGNIFICANT = 15  # digits that a float64 keeps through text and back
CONTROL = re.compile(r"[\x00-\x1f]")


def read_table(path: str | Path) -> ScoreTable:
    """Read a prediction table, ours or another's: tabs, commas or semicolons, columns as the module docstring says.

    The step that probabilities are rounded to is seen in them. Rows whose sum it explains stay as printed; others that
    sum to 0.99 .. 1.01 are divided by their sum. Zeros stay zeros: `ScoreTable.floored` is for rules that multiply.

    Raises:
        DataError: any defect, naming the file and, where there is one, the line and the column.
    """
    file = read_delimited(path)
    id_column = _id_column(file)
    labels = _labels(file)
    filenames = file.texts(id_column)
    starts = file.numbers("start") if "start" in file.columns else None
    _refuse_duplicates(file, id_column, filenames, starts)
    printed = np.stack([file.numbers(scene) for scene in labels], axis=1)
    step = rounding_step(printed)
    _refuse_sums(file, labels, printed, step)
    groups, truth = file.texts("group") if "group" in file.columns else None, _truth(file, labels)
    if (groups is None or truth is None) and (places := _places(filenames, labels)):
        groups = groups or tuple(place.location for place in places)
        truth = truth or tuple(place.scene for place in places)
    return ScoreTable(
        labels=labels,
        filenames=filenames,
        probabilities=rescaled(printed, step),
        starts=starts,
        groups=groups,
        truth=truth,
        source=str(path),
        resolution=step,
        modality=_modality(file),
    )


def _id_column(file: Delimited) -> str:
    for name in ID_COLUMNS:
        if name in file.columns:
            return name
    raise DataError(f"{file.path}, line 1: no column filename (nor aid)")


def _labels(file: Delimited) -> LabelSet:
    try:
        return LabelSet(tuple(name for name in file.columns if name not in META_COLUMNS))
    except UsageError as error:
        raise DataError(f"{file.path}, line 1: missing probability columns: {error}") from error


def _refuse_sums(file: Delimited, labels: LabelSet, values: FloatArray, step: float) -> None:
    sums = values.sum(axis=1)
    # 0.99 itself is fine, however its float sum comes out
    far = np.abs(sums - 1) > max(READ_TOLERANCE + EXACT, sum_error(len(labels), step))
    if far.any():
        row = int(far.argmax())
        span = f"{labels.names[0]} .. {labels.names[-1]}"
        raise file.fail(row, span, f"the probabilities sum to {sums[row]:.4g}, not 1")


def _refuse_duplicates(file: Delimited, id_column: str, filenames: Sequence[str], starts: FloatArray | None) -> None:
    keys = list(filenames) if starts is None else list(zip(filenames, starts.tolist(), strict=True))
    if len(set(keys)) == len(keys):
        return
    seen: dict[object, int] = {}
    for row, key in enumerate(keys):
        if (first := seen.setdefault(key, row)) != row:
            at = "" if starts is None else f" at {starts[row]:g} s"
            raise file.fail(row, id_column, f"{filenames[row]!r}{at} is already on line {file.line(first)}")


def _truth(file: Delimited, labels: LabelSet) -> tuple[str, ...] | None:
    foreign = "scene_pred" in file.columns and "scene_label" in file.columns
    column = "true_label" if "true_label" in file.columns else "scene_label" if foreign else None
    if column is None:
        return None
    truth = tuple(map(str.strip, file.texts(column)))
    if other := set(truth) - set(labels):
        row = next(row for row, scene in enumerate(truth) if scene in other)
        raise file.fail(row, column, f"{truth[row]!r} is not a probability column")
    return truth


def _modality(file: Delimited) -> Needs | None:
    if "modality" not in file.columns:
        return None
    cells = file.texts("modality")
    found = next((known for known in MODALITY_NAMES if known == cells[0].strip()), None)
    if found is None:
        raise file.fail(0, "modality", f"{cells[0]!r} is not one of {', '.join(MODALITY_NAMES)}")
    if len(set(cells)) > 1:
        row = next(row for row, cell in enumerate(cells) if cell != cells[0])
        raise file.fail(row, "modality", f"{cells[row]!r} where other rows have {cells[0]!r}; a table is of one system")
    return found


def _places(filenames: Sequence[str], labels: LabelSet) -> list[Place] | None:
    """The place of every row, or None as soon as one name is not a TAU name of these scenes."""
    known: dict[str, Place] = {}
    for name in dict.fromkeys(filenames):
        place = tau_place(name)
        if place is None or place.scene not in labels:
            return None
        known[name] = place
    return [known[name] for name in filenames]


def write_table(path: str | Path, table: ScoreTable) -> None:
    """Write `table` as tab-separated text; the file appears complete or not at all.

    Raises:
        DataError: the file cannot be written; a scene is called like one of the other columns; a name is
            empty or has a control character (a tab, a line break), which tools for such tables take in
            different ways.
    """
    if clash := [name for name in table.labels if name in META_COLUMNS]:
        raise DataError(f"{path}: scene {clash[0]!r} is called like a column of the table")
    columns: dict[str, Sequence[str]] = {"filename": table.filenames}
    if table.starts is not None:
        columns["start"] = _digits(table.starts)
    if table.groups is not None:
        columns["group"] = table.groups
    if table.truth is not None:
        columns["true_label"] = table.truth
    if table.modality is not None:
        columns["modality"] = [table.modality] * len(table)
    columns["scene_label"] = [table.labels.names[index] for index in table.probabilities.argmax(axis=1)]
    columns.update(zip(table.labels, map(_digits, table.probabilities.T), strict=True))
    lines = [tuple(columns), *zip(*columns.values(), strict=True)]
    for cell in (cell for line in lines for cell in line):
        if not cell.strip() or CONTROL.search(cell):
            raise DataError(f"{path}: {cell!r} cannot be a cell of a table")
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(lines)
    write_text(path, text.getvalue())


def _digits(values: FloatArray) -> list[str]:
    return [f"{value:.{SIGNIFICANT}g}" for value in values]


def with_truth(table: ScoreTable, path: str | Path) -> ScoreTable:
    """`table` with the true scenes of a meta.csv.

    Its columns are `path,label`, or TAU's `filename_audio`, `filename_video` and `scene_label`. Names are
    matched as written, then without folders, then also without the ending; a match that more than one label
    claims counts as none.

    Raises:
        DataError: the meta file is malformed, does not know a name, or gives a label that is no scene of the
            table.
    """
    file = read_delimited(path)
    names = [name for name in ("path", "filename_audio", "filename_video") if name in file.columns]
    label = next((name for name in ("label", "scene_label") if name in file.columns), None)
    if not names or label is None:
        raise DataError(f"{path}, line 1: no columns path,label (nor filename_audio, filename_video, scene_label)")
    labels = file.texts(label)
    known: dict[str, dict[str, int]] = {}  # spelling of a name -> the labels that claim it, each with its first row
    for row, written in enumerate(zip(*(file.cells(name) for name in names), strict=True)):
        for key in {key for name in written for key in spellings(name)}:
            known.setdefault(key, {}).setdefault(labels[row].strip(), row)
    claims = {name: _claim(known, name) for name in dict.fromkeys(table.filenames)}
    if unknown := [name for name, claim in claims.items() if not claim]:
        raise DataError(f"{path}: no label for {unknown[0]!r} ({len(unknown)} of {len(claims)} names)")
    for scene, row in (item for claim in claims.values() for item in claim.items()):
        if scene not in table.labels:
            raise file.fail(row, label, f"{scene!r} is not a scene of {table.source}")
    return replace(table, truth=tuple(next(iter(claims[name])) for name in table.filenames))


def _claim(known: dict[str, dict[str, int]], name: str) -> dict[str, int]:
    """The one label of `name` with its row, from the most telling spelling that gives just one; else nothing."""
    return next((claim for key in spellings(name) if len(claim := known.get(key, {})) == 1), {})
