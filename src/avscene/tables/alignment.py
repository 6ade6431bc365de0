"""Tables of several systems to the rows that all of them have, in one order, with what each knows of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.tables.names import stem
from avscene.tables.score_table import ScoreTable

Key = tuple[str, float]  # name, start in seconds
Spelling = Callable[[str], str]
Told = Literal["truth", "groups"]

START_DECIMALS = 3  # starts are the same to a millisecond
SINGULAR: dict[Told, str] = {"truth": "true scene", "groups": "group"}


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """`tables` by name, with the same rows in the same order, and the same labels, truth and groups in all.

    `left_out` has a line for a person for each table that has rows which others lack.
    """

    tables: dict[str, ScoreTable]
    left_out: tuple[str, ...]


def align(tables: Mapping[str, ScoreTable]) -> Aligned:
    """The rows that all of `tables` have, matched by file name and start, scenes by name.

    Names are compared as written. If then no row is in all tables, they are compared without folders and endings,
    where that keeps the names of every table apart; the first table's are kept. Starts are compared where all tables
    have them; else there must be one row per file. Rows are in order of name and start and scenes in alphabetical
    order: the order in which they stood does not matter. Truth and groups that one table knows are given to all.

    Raises:
        DataError: other scenes; no row that all have; two rows of one name and start; truths or groups that disagree.
    """
    labels = _labels(tables)
    rows = _rows(tables, str)
    common = _common(rows)
    if not common and _keeps_apart(stem, tables):
        rows = _rows(tables, stem)
        common = _common(rows)
    if not common:
        firsts = ", ".join(f"{min(known)[0]!r} in {name}" for name, known in rows.items())
        raise DataError(f"the tables have no row in common; the first are {firsts}")
    found = {name: _taken(table, labels, [rows[name][key] for key in common]) for name, table in tables.items()}
    filenames, starts = next((table.filenames, table.starts) for table in found.values())
    starts = starts if _timed(tables) else None
    truth, groups = _agreed(found, "truth"), _agreed(found, "groups")
    return Aligned(
        {
            name: replace(table, filenames=filenames, starts=starts, truth=truth, groups=groups)
            for name, table in found.items()
        },
        tuple(_left_out(name, known, set(common)) for name, known in rows.items() if len(known) > len(common)),
    )


def _common(rows: Mapping[str, Mapping[Key, int]]) -> list[Key]:
    return sorted(set.intersection(*(set(known) for known in rows.values())))


def _timed(tables: Mapping[str, ScoreTable]) -> bool:
    return all(table.starts is not None for table in tables.values())


def _keeps_apart(spelling: Spelling, tables: Mapping[str, ScoreTable]) -> bool:
    """Whether no two names of one table are the same under `spelling`."""
    names = [set(table.filenames) for table in tables.values()]
    return all(len(set(map(spelling, written))) == len(written) for written in names)


def _labels(tables: Mapping[str, ScoreTable]) -> LabelSet:
    """The scenes of all tables in alphabetical order."""
    (first, reference), *others = tables.items()
    for name, table in others:
        more, fewer = set(table.labels) - set(reference.labels), set(reference.labels) - set(table.labels)
        differences = [
            f"only {who} has {', '.join(sorted(what))}" for who, what in ((first, fewer), (name, more)) if what
        ]
        if differences:
            raise DataError(f"{first} and {name} have other scenes: {'; '.join(differences)}")
    return LabelSet.of(reference.labels)


def _rows(tables: Mapping[str, ScoreTable], spelling: Spelling) -> dict[str, dict[Key, int]]:
    """For each table the row of every key, names as `spelling` has them."""
    timed = _timed(tables)
    rows = {}
    for name, table in tables.items():
        spelt = {written: spelling(written) for written in dict.fromkeys(table.filenames)}
        starts = np.zeros(len(table)) if table.starts is None or not timed else table.starts.round(START_DECIMALS)
        known: dict[Key, int] = {}
        for row, (written, start) in enumerate(zip(table.filenames, starts.tolist(), strict=True)):
            if known.setdefault((spelt[written], start), row) != row:
                raise _twice(tables, name, written, start if timed else None)
        rows[name] = known
    return rows


def _twice(tables: Mapping[str, ScoreTable], name: str, filename: str, start: float | None) -> DataError:
    if start is not None:
        return DataError(f"{name}: has two rows of {filename!r} at {start:g} s")
    untimed = next(key for key in (name, *tables) if tables[key].starts is None)
    return DataError(f"{name}: has several rows of {filename!r}, and {untimed} has no column start to tell them apart")


def _taken(table: ScoreTable, labels: LabelSet, rows: Sequence[int]) -> ScoreTable:
    """`table` with these rows, in this order, and its scenes in the order of `labels`."""
    columns = [table.labels.index(scene) for scene in labels]
    return replace(
        table,
        labels=labels,
        filenames=tuple(table.filenames[row] for row in rows),
        probabilities=table.probabilities[np.ix_(rows, columns)],
        starts=None if table.starts is None else table.starts[rows],
        groups=None if table.groups is None else tuple(table.groups[row] for row in rows),
        truth=None if table.truth is None else tuple(table.truth[row] for row in rows),
    )


def _agreed(tables: Mapping[str, ScoreTable], what: Told) -> tuple[str, ...] | None:
    """What the tables that know it say of every row; None where none does."""
    told = {name: values for name, table in tables.items() if (values := getattr(table, what)) is not None}
    if not told:
        return None
    (first, reference), *others = told.items()
    for name, values in others:
        if values != reference:
            row = next(row for row, value in enumerate(values) if value != reference[row])
            filename = tables[name].filenames[row]
            raise DataError(
                f"{name}: the {SINGULAR[what]} of {filename!r} is {values[row]!r}, but {reference[row]!r} in {first}"
            )
    return tuple(reference)


def _left_out(name: str, known: Mapping[Key, int], common: set[Key]) -> str:
    alone = sorted(key for key in known if key not in common)
    return f"{name}: {len(alone)} of {len(known)} rows are not in every other table, the first is {alone[0][0]!r}"
