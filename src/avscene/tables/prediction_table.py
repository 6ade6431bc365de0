"""Read and write prediction tables: text files with one row of scene probabilities per segment or recording.

Columns: `filename` (or `aid`), optional `start` (seconds), `group` and a true scene, then one probability column per
scene, matched by name. The true scene is `true_label`; in tables with both `scene_pred` and `scene_label` it is
`scene_label`. In avscene's own tables `scene_label` is the predicted scene. If all names read like TAU's
`airport-lisbon-1175-44106` (scene, city, location, number), missing true scenes are taken from the names, and missing
groups too (city and location). `modality`, equal in all rows, is what the system takes as input: audio, video or both.
`familiarity` is the share of segments of training that are as unlike the others as a row. Of the tables that `classify`
writes, the rows of failures are left out.

Columns of text before or after the probabilities, and NOT_SCENES, are carried along. A table of predicted scenes
without probabilities can be read where they suffice.
"""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avscene.errors import DataError, UsageError
from avscene.files import write_text
from avscene.labels import LabelSet
from avscene.records import MODALITY_NAMES, FloatArray, Needs
from avscene.tables.classified import predictions_only
from avscene.tables.delimited import DelimitedFile, read_delimited
from avscene.tables.names import TauName, parse_tau_name
from avscene.tables.rounding import EXACT, SIGNIFICANT_DIGITS, max_sum_error, rescale_rows, rounding_step
from avscene.tables.score_table import ScoreTable

ID_COLUMNS = ("filename", "aid")
META_COLUMNS = (*ID_COLUMNS, "start", "group", "true_label", "scene_label", "scene_pred", "modality", "familiarity")
NOT_SCENES = ("fold", "split", "device", "identifier", "source_label")  # carried, also if their cells are numbers
READ_TOLERANCE = 0.01  # of a row's sum; beyond this, and beyond the rounding of the text, values are not probabilities

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f]")


def read_table(path: str | Path, *, labels_suffice: bool = False) -> ScoreTable:
    """Read a prediction table, written by avscene or by others, with tabs, commas or semicolons between the cells.

    The step that probabilities were rounded to is detected. Rows whose sum the rounding explains stay as printed;
    others that sum to 0.99 .. 1.01 are divided by their sum. Zeros stay zeros: rules that multiply use
    `ScoreTable.floored`.

    Args:
        path: the file.
        labels_suffice: also read a table without probabilities, as `labels_only`.

    Raises:
        DataError: the file is malformed; the message names the file and, if there is one, the line and the column.
    """
    file = predictions_only(read_delimited(path))
    id_column = _id_column(file)
    scenes, carried = _split_columns(file)
    predicted = None if scenes else _predicted_column(file)
    if predicted is not None and not labels_suffice:
        raise DataError(
            f"{path}, line 1: has predicted scenes (column {predicted!r}) but no probabilities; only avscene evaluate "
            "takes it"
        )
    labels = _scene_columns(file, scenes) if predicted is None else None
    filenames = file.filled_cells(id_column)
    starts = file.numbers("start") if "start" in file.columns else None
    _check_unique(file, id_column, filenames, starts)
    groups, truth = file.filled_cells("group") if "group" in file.columns else None, _read_truth(file, labels)
    if (groups is None or truth is None) and (parsed := _parse_tau_names(filenames, labels)):
        groups = groups or tuple(name.group for name in parsed)
        truth = truth or tuple(name.scene for name in parsed)
    if labels is None:
        assert predicted is not None
        labels, probabilities, step = _one_hot(file, predicted, truth)
    else:
        probabilities, step = _read_probabilities(file, labels)
    return ScoreTable(
        labels=labels,
        filenames=filenames,
        probabilities=probabilities,
        starts=starts,
        groups=groups,
        truth=truth,
        source=str(path),
        resolution=step,
        modality=_read_modality(file),
        familiarity=file.numbers("familiarity") if "familiarity" in file.columns else None,
        carried={name: tuple(map(str.strip, file.cells(name))) for name in carried},
        labels_only=predicted is not None,
    )


def _split_columns(file: DelimitedFile) -> tuple[list[str], list[str]]:
    """The columns of probabilities and the carried ones; text between probabilities is a probability with an error."""
    others = [name for name in file.columns if name not in META_COLUMNS]
    numbers = [at for at, name in enumerate(others) if not is_carried(file, name)]
    between = range(numbers[0], numbers[-1] + 1) if numbers else range(0)
    scenes = [others[at] for at in between if others[at] not in NOT_SCENES]
    return scenes, [name for name in others if name not in scenes]


def is_carried(file: DelimitedFile, column: str) -> bool:
    """Return whether a column that is not one of META_COLUMNS is carried along, and not one of probabilities."""
    return column in NOT_SCENES or file.is_text(column)


def _predicted_column(file: DelimitedFile) -> str | None:
    return next((name for name in ("scene_pred", "scene_label") if name in file.columns), None)


def _one_hot(file: DelimitedFile, predicted: str, truth: Sequence[str] | None) -> tuple[LabelSet, FloatArray, float]:
    """The scenes that occur, 1 for the predicted scene of each row (n, n_scenes), and full precision."""
    scenes = tuple(map(str.strip, file.filled_cells(predicted)))
    try:
        labels = LabelSet.of([*scenes, *(truth or ())])
    except UsageError as error:
        raise DataError(f"{file.path}, column {predicted}: {error}") from error
    return labels, np.eye(len(labels))[[labels.index(scene) for scene in scenes]], 0.0


def _read_probabilities(file: DelimitedFile, labels: LabelSet) -> tuple[FloatArray, float]:
    """The probabilities (n, n_scenes), and the step that they were rounded to."""
    printed = np.stack([file.numbers(scene) for scene in labels], axis=1)
    step = rounding_step(printed)
    _check_sums(file, labels, printed, step)
    return rescale_rows(printed, step), step


def _id_column(file: DelimitedFile) -> str:
    for name in ID_COLUMNS:
        if name in file.columns:
            return name
    raise file.no_column(*ID_COLUMNS)


def _scene_columns(file: DelimitedFile, scenes: Sequence[str]) -> LabelSet:
    try:
        return LabelSet(tuple(scenes))
    except UsageError as error:
        raise DataError(f"{file.path}, line 1: missing probability columns: {error}") from error


def _check_sums(file: DelimitedFile, labels: LabelSet, values: FloatArray, step: float) -> None:
    sums = values.sum(axis=1)
    # EXACT lets a sum of 0.99 pass in spite of float errors
    far = np.abs(sums - 1) > max(READ_TOLERANCE + EXACT, max_sum_error(len(labels), step))
    if far.any():
        row = int(far.argmax())
        span = f"{labels.names[0]} .. {labels.names[-1]}"
        raise file.error_at(row, span, f"the probabilities sum to {sums[row]:.4g}, not 1")


def _check_unique(file: DelimitedFile, id_column: str, filenames: Sequence[str], starts: FloatArray | None) -> None:
    keys = list(filenames) if starts is None else list(zip(filenames, starts.tolist(), strict=True))
    if len(set(keys)) == len(keys):
        return
    seen: dict[object, int] = {}
    for row, key in enumerate(keys):
        if (first := seen.setdefault(key, row)) != row:
            at = "" if starts is None else f" at {starts[row]:g} s"
            raise file.error_at(row, id_column, f"{filenames[row]!r}{at} is already on line {file.line(first)}")


def _read_truth(file: DelimitedFile, labels: LabelSet | None) -> tuple[str, ...] | None:
    """The true scenes, which are some of `labels` if these are given."""
    has_both = "scene_pred" in file.columns and "scene_label" in file.columns
    column = "true_label" if "true_label" in file.columns else "scene_label" if has_both else None
    if column is None:
        return None
    truth = tuple(map(str.strip, file.filled_cells(column)))
    if labels is not None and (unknown := set(truth) - set(labels)):
        row = next(row for row, scene in enumerate(truth) if scene in unknown)
        raise file.error_at(row, column, f"{truth[row]!r} is not a probability column; found: {', '.join(labels)}")
    return truth


def _read_modality(file: DelimitedFile) -> Needs | None:
    if "modality" not in file.columns:
        return None
    cells = file.filled_cells("modality")
    found = next((known for known in MODALITY_NAMES if known == cells[0].strip()), None)
    if found is None:
        raise file.error_at(0, "modality", f"{cells[0]!r} is not one of {', '.join(MODALITY_NAMES)}")
    if len(set(cells)) > 1:
        row = next(row for row, cell in enumerate(cells) if cell != cells[0])
        raise file.error_at(row, "modality", f"{cells[row]!r}, but {cells[0]!r} in other rows; a table has one system")
    return found


def _parse_tau_names(filenames: Sequence[str], labels: LabelSet | None) -> list[TauName] | None:
    """The parsed name of every row, or None if one is not a TAU name of these scenes, where they are given."""
    parsed: dict[str, TauName] = {}
    for name in dict.fromkeys(filenames):
        found = parse_tau_name(name)
        if found is None or (labels is not None and found.scene not in labels):
            return None
        parsed[name] = found
    return [parsed[name] for name in filenames]


def write_table(path: str | Path, table: ScoreTable) -> None:
    """Write `table` as tab-separated text; the file appears complete or not at all.

    Raises:
        DataError: the file cannot be written; a scene has the name of another column; a name is empty or has a
            control character (a tab, a line break), which readers of such tables treat in different ways.
    """
    if clash := [name for name in table.labels if name in META_COLUMNS]:
        raise DataError(f"{path}: scene {clash[0]!r} is called like a column of the table")
    columns: dict[str, Sequence[str]] = {"filename": table.filenames}
    if table.starts is not None:
        columns["start"] = _format_numbers(table.starts)
    if table.groups is not None:
        columns["group"] = table.groups
    if table.truth is not None:
        columns["true_label"] = table.truth
    if table.modality is not None:
        columns["modality"] = [table.modality] * len(table)
    if table.familiarity is not None:
        columns["familiarity"] = _format_numbers(table.familiarity)
    columns.update(table.carried)
    columns["scene_label"] = [table.labels.names[index] for index in table.probabilities.argmax(axis=1)]
    columns.update(zip(table.labels, map(_format_numbers, table.probabilities.T), strict=True))
    lines = [tuple(columns), *zip(*columns.values(), strict=True)]
    filled = [name not in table.carried for name in columns]
    for cell, is_filled in ((cell, own) for line in lines for cell, own in zip(line, filled, strict=True)):
        if (is_filled and not cell.strip()) or CONTROL_CHARACTERS.search(cell):
            raise DataError(f"{path}: {cell!r} cannot be a cell of a table")
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(lines)
    write_text(path, text.getvalue())


def _format_numbers(values: FloatArray) -> list[str]:
    return [f"{value:.{SIGNIFICANT_DIGITS}g}" for value in values]
