"""Pool the prediction tables of folds, which share no recording, into one table."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.tables.names import stem
from avscene.tables.score_table import ScoreTable

FOLD_TABLE = "table"  # column of a pooled table: the name of the table that a row is from

logger = logging.getLogger(__name__)


def are_folds(tables: Mapping[str, ScoreTable]) -> bool:
    """Return whether two or more tables of one form share no recording.

    Names are compared as written and, if they stay distinct in each table, without folders and endings.
    """
    forms = {(table.labels_only, table.starts is None, _scenes_to_agree_on(table)) for table in tables.values()}
    if len(tables) < 2 or len(forms) > 1:
        return False
    written = [set(table.filenames) for table in tables.values()]
    stems = [set(map(stem, names)) for names in written]
    if any(len(short) < len(names) for short, names in zip(stems, written, strict=True)):
        stems = written
    return all(first.isdisjoint(second) for names in (written, stems) for first, second in combinations(names, 2))


def pool_tables(tables: Mapping[str, ScoreTable]) -> ScoreTable:
    """Return the rows of all `tables`, by name, as one table; its column FOLD_TABLE has their names.

    True scenes, groups and other columns are kept if all tables have them.

    Raises:
        DataError: the tables have different scenes or a recording in common, or only some have probabilities or a
            column `start`.
    """
    (first_name, first), *others = tables.items()
    for name, table in others:
        problem = _difference(first, table)
        if problem:
            raise DataError(f"{first_name} and {name}: cannot be pooled: {problem}")
    for (name, table), (other, second) in combinations(tables.items(), 2):
        if shared := set(table.filenames) & set(second.filenames):
            raise DataError(f"{name} and {other}: cannot be pooled: both have {min(shared)!r}")
        if shared := set(table.groups or ()) & set(second.groups or ()):
            logger.warning(f"{name} and {other}: both have group {min(shared)!r}; folds should share no group")
    return _concatenate(tables)


def pooled_names(table: ScoreTable) -> tuple[str, ...]:
    """Return the names of the tables that a pooled table was made of."""
    return tuple(dict.fromkeys(table.carried[FOLD_TABLE]))


def _scenes_to_agree_on(table: ScoreTable) -> frozenset[str]:
    """The scenes of a table; none of one without probabilities, which names only the scenes that it predicts."""
    return frozenset() if table.labels_only else frozenset(table.labels)


def _difference(first: ScoreTable, table: ScoreTable) -> str:
    """Why two tables cannot be pooled, apart from their rows; empty if they can."""
    if table.labels_only != first.labels_only:
        return "only one of them has probabilities"
    if different := sorted(_scenes_to_agree_on(table) ^ _scenes_to_agree_on(first)):
        return f"scene {different[0]!r} is only in one of them"
    if (table.starts is None) != (first.starts is None):
        return "only one of them has a column 'start'"
    return ""


def _concatenate(tables: Mapping[str, ScoreTable]) -> ScoreTable:
    parts = list(tables.values())
    first = parts[0]
    labels = first.labels if not first.labels_only else LabelSet.of(chain.from_iterable(part.labels for part in parts))
    rows = []
    for part in parts:
        values = np.zeros((len(part), len(labels)))
        values[:, [labels.index(scene) for scene in part.labels]] = part.probabilities
        rows.append(values)
    shared = [name for name in first.carried if all(name in part.carried for part in parts)]
    carried = {name: _joined([part.carried[name] for part in parts]) for name in shared}
    carried[FOLD_TABLE] = tuple(name for name, part in tables.items() for _ in range(len(part)))
    starts = [part.starts for part in parts if part.starts is not None]
    familiarity = [part.familiarity for part in parts if part.familiarity is not None]
    return replace(
        first,
        labels=labels,
        filenames=_joined([part.filenames for part in parts]),
        probabilities=np.concatenate(rows),
        starts=np.concatenate(starts) if starts else None,
        groups=_joined_if_all([part.groups for part in parts]),
        truth=_joined_if_all([part.truth for part in parts]),
        source=", ".join(part.source for part in parts),
        resolution=max(part.resolution for part in parts),
        modality=first.modality if len({part.modality for part in parts}) == 1 else None,
        familiarity=np.concatenate(familiarity) if len(familiarity) == len(parts) else None,
        carried=carried,
    )


def _joined(columns: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The cells of all `columns`, one after the other."""
    return tuple(chain.from_iterable(columns))


def _joined_if_all(columns: Sequence[Sequence[str] | None]) -> tuple[str, ...] | None:
    """The cells of all `columns`; None if one of them is missing."""
    known = [column for column in columns if column is not None]
    return _joined(known) if len(known) == len(columns) else None
