"""Measure one prediction table: metrics per segment, per recording, by scene and by city, with intervals."""

import math
from collections.abc import Collection, Mapping, Sequence
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
from avscene.evaluation.metrics import TableMetrics, accuracy, compute_metrics, log_loss, row_log_losses
from avscene.records import BoolArray, IntArray
from avscene.tables.names import SceneCity
from avscene.tables.score_table import ScoreTable


@dataclass(frozen=True, slots=True)
class SubsetMetrics:
    """Log loss and accuracy of `n` segments; their `intervals` by name, none with fewer than two groups.

    The log loss of a table without probabilities is NaN.
    """

    n: int
    log_loss: float
    accuracy: float
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnseenPairs:
    """Scenes in cities where training had none: the `pairs`, the metrics of `only` them and of all others, `without`.

    A part without segments is None.
    """

    pairs: tuple[SceneCity, ...]
    only: SubsetMetrics | None
    without: SubsetMetrics | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """Metrics of one table: per segment, per recording, by city; `groups` is the number of groups.

    `by` has the metrics of subsets by the name of a column and its texts. `intervals` are those of `segments` by
    metric, `class_intervals` by scene and metric. `recordings` is None if rows of one file differ in truth or group,
    and `unseen` if the pairs of scene and city in training are not given.
    """

    segments: TableMetrics
    intervals: Mapping[str, Interval]
    class_intervals: Mapping[str, Mapping[str, Interval]]
    recordings: TableMetrics | None
    by_city: Mapping[str, SubsetMetrics]
    unseen: UnseenPairs | None
    groups: int
    by: Mapping[str, Mapping[str, SubsetMetrics]] = field(default_factory=dict)

    @property
    def why_no_intervals(self) -> str:
        """The reason why there are no intervals; empty if there are some."""
        if self.groups > 1:
            return ""
        return "all rows are of one group" if self.groups else "the table has no column 'group'"


def measure(
    table: ScoreTable,
    *,
    cities: Mapping[str, str] | None = None,
    seen: AbstractSet[SceneCity] | None = None,
    by: Sequence[str] = (),
) -> Measurement:
    """Compute all metrics of a table with one row per segment and true scenes; intervals need groups.

    Args:
        table: the predictions.
        cities: the city of each file, if known; by default cities are read from names like TAU's
            `airport-lisbon-1175-44106`.
        seen: the pairs of scene and city in training.
        by: columns whose texts divide the rows into subsets (`ScoreTable.texts`).

    Raises:
        DataError: the table has no truth, or not one of these columns.
    """
    row_cities = np.array(table.cities if cities is None else [cities.get(name, "") for name in table.filenames])
    truth = table.truth_index
    return Measurement(
        segments=compute_metrics(table),
        intervals=group_intervals(table),
        class_intervals=class_intervals(table),
        recordings=_measure_recordings(table),
        by_city=_measure_by(truth, table, row_cities),
        unseen=None if seen is None else _measure_unseen(truth, table, row_cities, seen),
        groups=len(set(table.groups or ())),
        by={column: _measure_by(truth, table, np.array(table.texts(column))) for column in by},
    )


def mean_and_deviation(subsets: Collection[SubsetMetrics]) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation (n - 1 degrees of freedom) of log loss and accuracy over two or more subsets.

    Every subset counts equally, as folds do in reports of a cross-validation.
    """
    values = {name: [getattr(subset, name) for subset in subsets] for name in ("log_loss", "accuracy")}
    return {name: (float(np.mean(own)), float(np.std(own, ddof=1))) for name, own in values.items()}


def _measure_by(truth: IntArray, table: ScoreTable, texts: npt.NDArray[np.str_]) -> dict[str, SubsetMetrics]:
    """The metrics of the rows of each text but the empty one; `texts` are (n,)."""
    return {str(text): _measure_subset(truth, table, texts == text) for text in np.unique(texts[texts != ""])}


def _measure_recordings(table: ScoreTable) -> TableMetrics | None:
    try:
        return compute_metrics(table.by_recording())
    except DataError:
        return None


def _measure_unseen(
    truth: IntArray, table: ScoreTable, row_cities: npt.NDArray[np.str_], seen: AbstractSet[SceneCity]
) -> UnseenPairs:
    pairs = [(table.labels.names[scene], city) for scene, city in zip(truth, row_cities.tolist(), strict=True)]
    unseen = {pair for pair in pairs if pair[1] and pair not in seen}
    is_unseen = np.array([pair in unseen for pair in pairs])
    return UnseenPairs(
        tuple(sorted(unseen)),
        only=_measure_subset(truth, table, is_unseen) if is_unseen.any() else None,
        without=_measure_subset(truth, table, ~is_unseen) if not is_unseen.all() else None,
    )


def _measure_subset(truth: IntArray, table: ScoreTable, subset: BoolArray) -> SubsetMetrics:
    truth, probabilities = truth[subset], table.probabilities[subset]
    n_groups, group = group_indices(None if table.groups is None else np.array(table.groups)[subset].tolist())
    intervals: list[Interval] = []
    if n_groups > 1:
        hits = probabilities.argmax(axis=1) == truth
        sums = group_sums(group, np.column_stack([row_log_losses(truth, probabilities), hits]))
        intervals = mean_intervals(sums, np.bincount(group).astype(float))
    by_name = dict(zip(("log_loss", "accuracy"), intervals, strict=False))
    loss = log_loss(truth, probabilities)
    if table.labels_only:
        by_name.pop("log_loss", None)
        loss = math.nan
    return SubsetMetrics(len(truth), loss, accuracy(truth, probabilities), by_name)
