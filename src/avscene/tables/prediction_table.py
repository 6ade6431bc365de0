"""Read and write prediction tables: text files with one row of scene probabilities per segment or recording.

Columns: `filename` (or `aid`), optional `start` (seconds), `group` and a true scene, then one probability column per
scene, matched by name. The true scene is `true_label`; in tables with both `scene_pred` and `scene_label` it is
`scene_label`. In avscene's own tables `scene_label` is the predicted scene. If all names read like TAU's
`airport-lisbon-1175-44106` (scene, city, location, number), missing true scenes are taken from the names, and missing
groups too (city and location). `modality`, equal in all rows, is what the system takes as input: audio, video or both.
`familiarity` is the share of segments of training that are as unlike the others as a row.
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
from avscene.tables.delimited import DelimitedFile, read_delimited
from avscene.tables.names import TauName, name_variants, parse_tau_name
from avscene.tables.rounding import EXACT, SIGNIFICANT_DIGITS, max_sum_error, rescale_rows, rounding_step
from avscene.tables.score_table import ScoreTable

ID_COLUMNS = ("filename", "aid")
META_COLUMNS = (*ID_COLUMNS, "start", "group", "true_label", "scene_label", "scene_pred", "modality", "familiarity")
READ_TOLERANCE = 0.01  # of a row's sum; beyond this, and beyond the rounding of the text, values are not probabilities

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f]")


def read_table(path: str | Path) -> ScoreTable:
    """Read a prediction table, written by avscene or by others, with tabs, commas or semicolons between the cells.

    The step that probabilities were rounded to is detected. Rows whose sum the rounding explains stay as printed;
    others that sum to 0.99 .. 1.01 are divided by their sum. Zeros stay zeros: rules that multiply use
    `ScoreTable.floored`.

    Raises:
        DataError: the file is malformed; the message names the file and, if there is one, the line and the column.
    """
    file = read_delimited(path)
    id_column = _id_column(file)
    labels = _scene_columns(file)
    filenames = file.filled_cells(id_column)
    starts = file.numbers("start") if "start" in file.columns else None
    _check_unique(file, id_column, filenames, starts)
    printed = np.stack([file.numbers(scene) for scene in labels], axis=1)
    step = rounding_step(printed)
    _check_sums(file, labels, printed, step)
    groups, truth = file.filled_cells("group") if "group" in file.columns else None, _read_truth(file, labels)
    if (groups is None or truth is None) and (parsed := _parse_tau_names(filenames, labels)):
        groups = groups or tuple(name.group for name in parsed)
        truth = truth or tuple(name.scene for name in parsed)
    return ScoreTable(
        labels=labels,
        filenames=filenames,
        probabilities=rescale_rows(printed, step),
        starts=starts,
        groups=groups,
        truth=truth,
        source=str(path),
        resolution=step,
        modality=_read_modality(file),
        familiarity=file.numbers("familiarity") if "familiarity" in file.columns else None,
    )


def _id_column(file: DelimitedFile) -> str:
    for name in ID_COLUMNS:
        if name in file.columns:
            return name
    raise file.no_column(*ID_COLUMNS)


def _scene_columns(file: DelimitedFile) -> LabelSet:
    try:
        return LabelSet(tuple(name for name in file.columns if name not in META_COLUMNS))
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


def _read_truth(file: DelimitedFile, labels: LabelSet) -> tuple[str, ...] | None:
    has_both = "scene_pred" in file.columns and "scene_label" in file.columns
    column = "true_label" if "true_label" in file.columns else "scene_label" if has_both else None
    if column is None:
        return None
    truth = tuple(map(str.strip, file.filled_cells(column)))
    if unknown := set(truth) - set(labels):
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


def _parse_tau_names(filenames: Sequence[str], labels: LabelSet) -> list[TauName] | None:
    """The parsed name of every row, or None if one is not a TAU name of these scenes."""
    parsed: dict[str, TauName] = {}
    for name in dict.fromkeys(filenames):
        found = parse_tau_name(name)
        if found is None or found.scene not in labels:
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
    columns["scene_label"] = [table.labels.names[index] for index in table.probabilities.argmax(axis=1)]
    columns.update(zip(table.labels, map(_format_numbers, table.probabilities.T), strict=True))
    lines = [tuple(columns), *zip(*columns.values(), strict=True)]
    for cell in (cell for line in lines for cell in line):
        if not cell.strip() or CONTROL_CHARACTERS.search(cell):
            raise DataError(f"{path}: {cell!r} cannot be a cell of a table")
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(lines)
    write_text(path, text.getvalue())


def _format_numbers(values: FloatArray) -> list[str]:
    return [f"{value:.{SIGNIFICANT_DIGITS}g}" for value in values]


def add_truth(table: ScoreTable, path: str | Path) -> ScoreTable:
    """Return `table` with the true scenes of a meta.csv.

    Its columns are `path,label`, or TAU's `filename_audio`, `filename_video` and `scene_label`. Names are matched as
    written, then without folders, then also without the ending. A match with more than one label counts as none.

    Raises:
        DataError: the meta file is malformed, lacks a name of the table, or gives a label that is not a scene of it.
    """
    file = read_delimited(path)
    name_columns = [name for name in ("path", "filename_audio", "filename_video") if name in file.columns]
    label_column = next((name for name in ("label", "scene_label") if name in file.columns), None)
    if not name_columns or label_column is None:
        raise DataError(
            f"{path}, line 1: no columns 'path' and 'label', or TAU's 'filename_audio', 'filename_video' and "
            f"'scene_label'; found: {', '.join(file.columns)}"
        )
    labels = file.filled_cells(label_column)
    by_variant: dict[str, dict[str, int]] = {}  # variant of a name -> its labels, each with its first row
    for row, written in enumerate(zip(*(file.cells(name) for name in name_columns), strict=True)):
        for variant in {variant for name in written for variant in name_variants(name)}:
            by_variant.setdefault(variant, {}).setdefault(labels[row].strip(), row)
    matches = {name: _match_label(by_variant, name) for name in dict.fromkeys(table.filenames)}
    if unmatched := [name for name, match in matches.items() if not match]:
        raise DataError(f"{path}: no label for {unmatched[0]!r} ({len(unmatched)} of {len(matches)} names)")
    for scene, row in (item for match in matches.values() for item in match.items()):
        if scene not in table.labels:
            raise file.error_at(row, label_column, f"{scene!r} is not a scene of {table.source}")
    return replace(table, truth=tuple(next(iter(matches[name])) for name in table.filenames))


def _match_label(by_variant: dict[str, dict[str, int]], name: str) -> dict[str, int]:
    """The label of `name` with its row, from the most specific variant that has exactly one; else nothing."""
    return next((found for key in name_variants(name) if len(found := by_variant.get(key, {})) == 1), {})
