"""Align prediction tables of several systems on their common rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.tables.names import stem
from avscene.tables.score_table import ScoreTable

RowKey = tuple[str, float]  # name, start in seconds
NormaliseName = Callable[[str], str]
SharedColumn = Literal["truth", "groups"]

START_DECIMALS = 3  # starts that agree to a millisecond are equal
SINGULAR: dict[SharedColumn, str] = {"truth": "true scene", "groups": "group"}


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Tables by name with the same rows in the same order, and equal labels, true scenes and groups.

    `left_out` has a message for each table with rows that others lack.
    """

    tables: dict[str, ScoreTable]
    left_out: tuple[str, ...]


def align(tables: Mapping[str, ScoreTable]) -> Aligned:
    """Match the rows that all `tables` have by file name and start, and the scenes by name.

    Names are compared as written. If no row is then in all tables, they are compared without folders and endings,
    provided that the names of each table stay distinct; the names of the first table are kept. Starts are compared if
    all tables have them; else there must be one row per file. Rows are sorted by name and start and scenes by
    alphabet, so that the order in the files does not matter. True scenes and groups of one table are given to all, and
    so are further columns in which no two tables differ; the others are left out.

    Raises:
        DataError: the tables have different scenes or no row in common, a table has two rows of one name and start,
            or true scenes or groups differ.
    """
    labels = _common_labels(tables)
    rows = _index_rows(tables, str)
    common = _common_keys(rows)
    if not common and _is_unique(stem, tables):
        rows = _index_rows(tables, stem)
        common = _common_keys(rows)
    if not common:
        firsts = ", ".join(f"{min(index)[0]!r} in {name}" for name, index in rows.items())
        raise DataError(f"the tables have no row in common; the first are {firsts}")
    selected = {name: _select(table, labels, [rows[name][key] for key in common]) for name, table in tables.items()}
    filenames, starts = next((table.filenames, table.starts) for table in selected.values())
    starts = starts if _all_have_starts(tables) else None
    truth, groups = _merge_column(selected, "truth"), _merge_column(selected, "groups")
    carried = _merge_carried(selected.values())
    return Aligned(
        {
            name: replace(table, filenames=filenames, starts=starts, truth=truth, groups=groups, carried=carried)
            for name, table in selected.items()
        },
        tuple(_left_out_message(name, index, set(common)) for name, index in rows.items() if len(index) > len(common)),
    )


def _common_keys(rows: Mapping[str, Mapping[RowKey, int]]) -> list[RowKey]:
    return sorted(set.intersection(*(set(index) for index in rows.values())))


def _all_have_starts(tables: Mapping[str, ScoreTable]) -> bool:
    return all(table.starts is not None for table in tables.values())


def _is_unique(normalise: NormaliseName, tables: Mapping[str, ScoreTable]) -> bool:
    """Whether the names of each table stay distinct under `normalise`."""
    names = [set(table.filenames) for table in tables.values()]
    return all(len(set(map(normalise, written))) == len(written) for written in names)


def _common_labels(tables: Mapping[str, ScoreTable]) -> LabelSet:
    """The scenes of all tables in alphabetical order; a table without probabilities may lack some."""
    (first, reference), *others = sorted(tables.items(), key=lambda item: item[1].labels_only)
    if reference.labels_only:
        return LabelSet.of(scene for table in tables.values() for scene in table.labels)
    for name, table in others:
        more, fewer = set(table.labels) - set(reference.labels), set(reference.labels) - set(table.labels)
        if table.labels_only:
            fewer = set()
        differences = [
            f"only {owner} has {', '.join(sorted(scenes))}"
            for owner, scenes in ((first, fewer), (name, more))
            if scenes
        ]
        if differences:
            raise DataError(f"{first} and {name} have different scenes: {'; '.join(differences)}")
    return LabelSet.of(reference.labels)


def _index_rows(tables: Mapping[str, ScoreTable], normalise: NormaliseName) -> dict[str, dict[RowKey, int]]:
    """The row number of every key, by table; names as `normalise` returns them."""
    with_starts = _all_have_starts(tables)
    rows = {}
    for name, table in tables.items():
        normalised = {written: normalise(written) for written in dict.fromkeys(table.filenames)}
        starts = np.zeros(len(table)) if table.starts is None or not with_starts else table.starts.round(START_DECIMALS)
        index: dict[RowKey, int] = {}
        for row, (written, start) in enumerate(zip(table.filenames, starts.tolist(), strict=True)):
            if index.setdefault((normalised[written], start), row) != row:
                raise _duplicate_error(tables, name, written, start if with_starts else None)
        rows[name] = index
    return rows


def _duplicate_error(tables: Mapping[str, ScoreTable], name: str, filename: str, start: float | None) -> DataError:
    if start is not None:
        return DataError(f"{name}: has two rows of {filename!r} at {start:g} s")
    without = next(key for key in (name, *tables) if tables[key].starts is None)
    return DataError(f"{name}: has several rows of {filename!r}, and {without} has no column 'start' to match them by")


def _select(table: ScoreTable, labels: LabelSet, rows: Sequence[int]) -> ScoreTable:
    """`table` with these rows, in this order, and its scenes in the order of `labels`."""
    probabilities = np.zeros((len(rows), len(labels)))
    for column, scene in enumerate(labels):
        if scene in table.labels:  # all are, unless the table has no probabilities
            probabilities[:, column] = table.probabilities[rows, table.labels.index(scene)]
    return replace(
        table,
        labels=labels,
        filenames=tuple(table.filenames[row] for row in rows),
        probabilities=probabilities,
        starts=None if table.starts is None else table.starts[rows],
        groups=None if table.groups is None else tuple(table.groups[row] for row in rows),
        truth=None if table.truth is None else tuple(table.truth[row] for row in rows),
        familiarity=None if table.familiarity is None else table.familiarity[rows],
        carried={name: tuple(texts[row] for row in rows) for name, texts in table.carried.items()},
    )


def _merge_column(tables: Mapping[str, ScoreTable], column: SharedColumn) -> tuple[str, ...] | None:
    """The values of the tables that have the column, which must agree; None if no table has it."""
    given = {name: values for name, table in tables.items() if (values := getattr(table, column)) is not None}
    if not given:
        return None
    (first, reference), *others = given.items()
    for name, values in others:
        if values != reference:
            row = next(row for row, value in enumerate(values) if value != reference[row])
            filename = tables[name].filenames[row]
            raise DataError(
                f"{name}: the {SINGULAR[column]} of {filename!r} is {values[row]!r}, but {reference[row]!r} in {first}"
            )
    return tuple(reference)


def _merge_carried(tables: Iterable[ScoreTable]) -> dict[str, tuple[str, ...]]:
    """The carried columns of all tables, without those in which two tables differ."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for table in tables:
        for name, texts in table.carried.items():
            found.setdefault(name, set()).add(texts)
    return {name: next(iter(versions)) for name, versions in found.items() if len(versions) == 1}


def _left_out_message(name: str, index: Mapping[RowKey, int], common: set[RowKey]) -> str:
    left_out = sorted(key for key in index if key not in common)
    return f"{name}: {len(left_out)} of {len(index)} rows are not in every other table; the first is {left_out[0][0]!r}"
