"""Prediction tables: what a system says of every segment or recording, read from and written to text files.

Columns: `filename` (or `aid`), optional `start` (seconds), `group` and a truth, then one probability column
per scene, matched by name. The truth is `true_label`; in tables with both `scene_pred` and `scene_label` it
is `scene_label`. In our own tables `scene_label` is the answer, never the truth. Where every name reads like
TAU's `airport-lisbon-1175-44106` (scene, city, location, clip), an absent truth is taken from the names, and
so is an absent group (the location).
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from avscene.errors import DataError, UsageError
from avscene.evaluation.files import Delimited, Row, read_delimited, write_text
from avscene.evaluation.score_table import ScoreTable
from avscene.labels import LabelSet
from avscene.records import FloatArray

__all__ = ["ScoreTable", "read_table", "with_truth", "write_table"]

ID_COLUMNS = ("filename", "aid")
META_COLUMNS = (*ID_COLUMNS, "start", "group", "true_label", "scene_label", "scene_pred")
READ_TOLERANCE = 0.01  # ten numbers of three decimals sum to 0.995 .. 1.005; beyond this it is no rounding
SIGNIFICANT = 15  # digits that a float64 keeps through text and back
CONTROL = re.compile(r"[\x00-\x1f]")
TAU_NAME = re.compile(r"(?P<scene>.+)-(?P<city>[^-\d]+)-(?P<location>\d+)-\d+([-_]\w+)?")


def read_table(path: str | Path) -> ScoreTable:
    """Read a prediction table, ours or another's: tabs or commas, columns as the module docstring says.

    Rows that sum to 0.99 .. 1.01 are rescaled to 1. Zeros stay zeros: rules that multiply must floor them.

    Raises:
        DataError: any defect, naming the file and, where there is one, the line and the column.
    """
    file = read_delimited(path)
    id_column = _id_column(file)
    labels = _labels(file)
    filenames = tuple(_text(file, row, id_column) for row in file.rows)
    starts = _starts(file)
    _refuse_duplicates(file, id_column, filenames, starts)
    probabilities = np.array([_probabilities(file, row, labels) for row in file.rows])
    groups, truth = _column(file, "group"), _truth(file, labels)
    if names := _tau_names(filenames, labels):
        groups = groups or tuple(name["location"] for name in names)
        truth = truth or tuple(name["scene"] for name in names)
    return ScoreTable(
        labels=labels,
        filenames=filenames,
        probabilities=probabilities / probabilities.sum(axis=1, keepdims=True),
        starts=starts,
        groups=groups,
        truth=truth,
        source=str(path),
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


def _text(file: Delimited, row: Row, column: str) -> str:
    if not row.cells[column].strip():
        raise file.fail(row, column, "is empty")
    return row.cells[column]


def _column(file: Delimited, name: str) -> tuple[str, ...] | None:
    return tuple(_text(file, row, name) for row in file.rows) if name in file.columns else None


def _number(file: Delimited, row: Row, column: str) -> float:
    text = row.cells[column]
    try:
        # float() also reads 1_000, which in a table is a slip of the hand
        value = float(text if "_" not in text else "")
    except ValueError:
        raise file.fail(row, column, f"{text!r} is not a number") from None
    if not np.isfinite(value):
        raise file.fail(row, column, f"{text!r} is not finite")
    if value < 0:
        raise file.fail(row, column, f"{value:g} is negative")
    return value


def _starts(file: Delimited) -> FloatArray | None:
    return np.array([_number(file, row, "start") for row in file.rows]) if "start" in file.columns else None


def _probabilities(file: Delimited, row: Row, labels: LabelSet) -> list[float]:
    values = [_number(file, row, name) for name in labels]
    if abs(sum(values) - 1) > READ_TOLERANCE + 1e-9:  # 0.99 itself is fine, however its float sum comes out
        span = f"{labels.names[0]} .. {labels.names[-1]}"
        raise file.fail(row, span, f"the probabilities sum to {sum(values):.4g}, not 1")
    return values


def _refuse_duplicates(file: Delimited, id_column: str, filenames: Sequence[str], starts: FloatArray | None) -> None:
    seen: dict[tuple[str, float | None], int] = {}
    for index, (row, name) in enumerate(zip(file.rows, filenames, strict=True)):
        start = None if starts is None else float(starts[index])
        first = seen.setdefault((name, start), row.line)
        if first != row.line:
            at = "" if start is None else f" at {start:g} s"
            raise file.fail(row, id_column, f"{name!r}{at} is already on line {first}")


def _truth(file: Delimited, labels: LabelSet) -> tuple[str, ...] | None:
    foreign = "scene_pred" in file.columns and "scene_label" in file.columns
    column = "true_label" if "true_label" in file.columns else "scene_label" if foreign else None
    if column is None:
        return None
    truth = tuple(_text(file, row, column).strip() for row in file.rows)
    for row, scene in zip(file.rows, truth, strict=True):
        if scene not in labels:
            raise file.fail(row, column, f"{scene!r} is not a probability column")
    return truth


def _tau_names(filenames: Sequence[str], labels: LabelSet) -> list[re.Match[str]] | None:
    """Scene and location of every name, or None as soon as one is not a TAU name of these scenes."""
    found = []
    for name in filenames:
        match = TAU_NAME.fullmatch(_stem(name))
        if match is None or match["scene"] not in labels:
            return None
        found.append(match)
    return found


def _stem(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).stem


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
    known: dict[str, dict[str, Row]] = {}  # key of a name -> the labels that claim it, each with its first row
    for row in file.rows:
        for key in {key for name in names for key in _keys(row.cells[name])}:
            known.setdefault(key, {}).setdefault(_text(file, row, label).strip(), row)
    claims = {name: _claim(known, name) for name in table.filenames}
    if unknown := [name for name, claim in claims.items() if not claim]:
        raise DataError(f"{path}: no label for {unknown[0]!r} ({len(unknown)} of {len(claims)} names)")
    for scene, row in (item for claim in claims.values() for item in claim.items()):
        if scene not in table.labels:
            raise file.fail(row, label, f"{scene!r} is not a scene of {table.source}")
    return replace(table, truth=tuple(next(iter(claims[name])) for name in table.filenames))


def _keys(name: str) -> tuple[str, str, str]:
    """`name` as written, without folders, and without its ending: most telling first."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path), path.name, path.stem


def _claim(known: dict[str, dict[str, Row]], name: str) -> dict[str, Row]:
    """The one label of `name` with its row, from the most telling key that gives just one; else nothing."""
    return next((claim for key in _keys(name) if len(claim := known.get(key, {})) == 1), {})
