"""Add the true scenes, groups and texts of a meta.csv to a prediction table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.tables.delimited import DelimitedFile, read_delimited
from avscene.tables.names import name_variants
from avscene.tables.prediction_table import META_COLUMNS, is_carried
from avscene.tables.score_table import ScoreTable

NAME_COLUMNS = ("path", "filename_audio", "filename_video", "filename")
LABEL_COLUMNS = ("label", "scene_label", "true_label")


def add_truth(table: ScoreTable, path: str | Path) -> ScoreTable:
    """Return `table` with the true scenes of a meta.csv, and with its groups and columns of text that it lacks.

    Its columns are `path,label`, TAU's `filename_audio`, `filename_video` and `scene_label`, or `filename` and
    `scene_label`. Names are matched as written, then without folders, then also without the ending. A match with more
    than one label counts as none.

    Raises:
        DataError: the meta file is malformed, lacks a name of the table, or gives a label that is not a scene of it.
    """
    file = read_delimited(path)
    name_columns = [name for name in NAME_COLUMNS if name in file.columns]
    label_column = next((name for name in LABEL_COLUMNS if name in file.columns), None)
    if not name_columns or label_column is None:
        raise DataError(
            f"{path}, line 1: no columns 'path' and 'label', or TAU's 'filename_audio', 'filename_video' and "
            f"'scene_label'; found: {', '.join(file.columns)}"
        )
    labels = tuple(map(str.strip, file.filled_cells(label_column)))
    by_variant: dict[str, dict[str, int]] = {}  # variant of a name -> its labels, each with its first row
    for row, written in enumerate(zip(*(file.cells(name) for name in name_columns), strict=True)):
        for variant in {variant for name in written for variant in name_variants(name)}:
            by_variant.setdefault(variant, {}).setdefault(labels[row], row)
    matches = {name: _match_label(by_variant, name) for name in dict.fromkeys(table.filenames)}
    if unmatched := [name for name, match in matches.items() if not match]:
        raise DataError(f"{path}: no label for {unmatched[0]!r} ({len(unmatched)} of {len(matches)} names)")
    rows = [next(iter(matches[name].values())) for name in table.filenames]
    truth = tuple(labels[row] for row in rows)
    if table.labels_only:
        table = _with_scenes(table, LabelSet.of([*table.labels, *truth]))
    for scene, row in zip(truth, rows, strict=True):
        if scene not in table.labels:
            raise file.error_at(row, label_column, f"{scene!r} is not a scene of {table.source}")
    groups = table.groups
    if groups is None and "group" in file.columns:
        cells = file.filled_cells("group")
        groups = tuple(cells[row] for row in rows)
    return replace(table, truth=truth, groups=groups, carried={**table.carried, **_carried_by(file, table, rows)})


def _carried_by(file: DelimitedFile, table: ScoreTable, rows: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """The texts (n,) in `rows` of a meta file, of the columns that the table lacks."""
    taken = {*META_COLUMNS, *NAME_COLUMNS, *LABEL_COLUMNS, *table.labels, *table.carried}
    columns = [name for name in file.columns if name not in taken and is_carried(file, name)]
    cells = {name: file.cells(name) for name in columns}
    return {name: tuple(cells[name][row].strip() for row in rows) for name in columns}


def _with_scenes(table: ScoreTable, labels: LabelSet) -> ScoreTable:
    """A table without probabilities with further scenes, which it predicts nowhere."""
    probabilities = np.zeros((len(table), len(labels)))
    probabilities[:, [labels.index(scene) for scene in table.labels]] = table.probabilities
    return replace(table, labels=labels, probabilities=probabilities)


def _match_label(by_variant: dict[str, dict[str, int]], name: str) -> dict[str, int]:
    """The label of `name` with its row, from the most specific variant that has exactly one; else nothing."""
    return next((found for key in name_variants(name) if len(found := by_variant.get(key, {})) == 1), {})
