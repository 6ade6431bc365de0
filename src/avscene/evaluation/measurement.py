"""One system's table to all that is said of it: segments, recordings, scenes, cities, unseen pairs, with intervals."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from avscene.errors import DataError
from avscene.evaluation.bootstrap import (
    Interval,
    class_intervals,
    group_indices,
    group_intervals,
    group_sums,
    mean_intervals,
)
from avscene.evaluation.metrics import Evaluation, accuracy, evaluate, log_loss, row_log_losses
from avscene.records import IntArray
from avscene.tables.names import SceneCity
from avscene.tables.score_table import ScoreTable


@dataclass(frozen=True, slots=True)
class SubsetMetrics:
    """Log loss and accuracy of `n` segments; their `intervals` by name, none where there are not two groups."""

    n: int
    log_loss: float
    accuracy: float
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnseenPairs:
    """Scenes in cities where training had none: the `pairs`, the figures of `only` them and of what is left `without`.

    A part that has no segment is None.
    """

    pairs: tuple[SceneCity, ...]
    only: SubsetMetrics | None
    without: SubsetMetrics | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """SubsetMetrics of one table: per segment, per recording, by city; `groups` is how many.

    `intervals` are those of `segments` by figure, `class_intervals` by scene and figure. `recordings` is None where
    rows of one file differ in truth or group, and `unseen` where it is not known which pairs training had.
    """

    segments: Evaluation
    intervals: Mapping[str, Interval]
    class_intervals: Mapping[str, Mapping[str, Interval]]
    recordings: Evaluation | None
    by_city: Mapping[str, SubsetMetrics]
    unseen: UnseenPairs | None
    groups: int

    @property
    def why_no_intervals(self) -> str:
        """Why there are none, in words; empty where there are some."""
        if self.groups > 1:
            return ""
        return "all rows are of one group" if self.groups else "the table does not say which rows are of one group"


def measure(
    table: ScoreTable, *, cities: Mapping[str, str] | None = None, seen: AbstractSet[SceneCity] | None = None
) -> Measurement:
    """Every figure of `table`, which has one row per segment, the truth, and groups if there are to be intervals.

    `cities` names the city of each file, where that is known; without it, cities are read from names like TAU's
    `airport-lisbon-1175-44106`. `seen` are the pairs of scene and city in training.

    Raises:
        DataError: the table has no truth.
    """
    places = np.array(table.cities if cities is None else [cities.get(name, "") for name in table.filenames])
    truth = table.truth_index
    return Measurement(
        segments=evaluate(table),
        intervals=group_intervals(table),
        class_intervals=class_intervals(table),
        recordings=_recordings(table),
        by_city={str(city): _figures(truth, table, places == city) for city in np.unique(places[places != ""])},
        unseen=None if seen is None else _unseen(truth, table, places, seen),
        groups=len(set(table.groups or ())),
    )


def _recordings(table: ScoreTable) -> Evaluation | None:
    try:
        return evaluate(table.by_recording())
    except DataError:
        return None


def _unseen(
    truth: IntArray, table: ScoreTable, places: npt.NDArray[np.str_], seen: AbstractSet[SceneCity]
) -> UnseenPairs:
    pairs = [(table.labels.names[scene], city) for scene, city in zip(truth, places.tolist(), strict=True)]
    new = {pair for pair in pairs if pair[1] and pair not in seen}
    chosen = np.array([pair in new for pair in pairs])
    return UnseenPairs(
        tuple(sorted(new)),
        only=_figures(truth, table, chosen) if chosen.any() else None,
        without=_figures(truth, table, ~chosen) if not chosen.all() else None,
    )


def _figures(truth: IntArray, table: ScoreTable, chosen: npt.NDArray[np.bool_]) -> SubsetMetrics:
    known, probabilities = truth[chosen], table.probabilities[chosen]
    groups, place = group_indices(None if table.groups is None else np.array(table.groups)[chosen].tolist())
    intervals: list[Interval] = []
    if groups > 1:
        hits = probabilities.argmax(axis=1) == known
        sums = group_sums(place, np.column_stack([row_log_losses(known, probabilities), hits]))
        intervals = mean_intervals(sums, np.bincount(place).astype(float))
    return SubsetMetrics(
        len(known),
        log_loss(known, probabilities),
        accuracy(known, probabilities),
        dict(zip(("log_loss", "accuracy"), intervals, strict=False)),
    )
