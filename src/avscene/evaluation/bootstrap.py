"""Compute confidence intervals of metrics by a bootstrap over groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avscene.evaluation.calibration import CalibrationGaps
from avscene.evaluation.metrics import ACCURACIES, row_brier_scores, row_log_losses
from avscene.evaluation.risk import confidence_levels
from avscene.records import FloatArray, IntArray
from avscene.tables.score_table import ScoreTable

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
BATCH = 100  # resamples at a time, so that memory does not grow with their number
CALIBRATION_ERROR = "ece"
TABLE_METRICS = (  # attributes of `TableMetrics`
    "log_loss",
    "log_loss_macro",
    "accuracy",
    "accuracy_macro",
    "brier_score",
    CALIBRATION_ERROR,
    "aurc",
)
CLASS_METRICS = ("precision", "recall", "f1", "log_loss")  # keys of `TableMetrics.per_class`


@dataclass(frozen=True, slots=True)
class Interval:
    """The central interval that contains a metric in LEVEL of the resamples."""

    low: float
    high: float


def group_intervals(table: ScoreTable, *, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, Interval]:
    """Return the intervals of TABLE_METRICS by name; none if the table has fewer than two groups.

    A table without probabilities has those of ACCURACIES only.

    Segments of one group resemble each other, so whole groups are drawn with replacement, as many as the table has
    (cluster bootstrap; percentile intervals after Efron & Tibshirani 1993, chapter 13). Tables of the same groups get
    the same resamples. Macro averages leave out scenes without a row in the resample. The interval of the calibration
    error is that of `CalibrationGaps`, because resampling raises the error.

    Raises:
        DataError: the table has no truth.
    """
    truth = table.truth_index
    n_groups, group = group_indices(table.groups)
    if n_groups < 2:
        return {}
    rows, losses, hits, _ = _class_sums(table, n_groups, group)
    brier = group_sums(group, row_brier_scores(truth, table.probabilities)[:, None])
    by_confidence = _RowsByConfidence.of(table, group)
    values = []
    for counts in group_resamples(n_groups, resamples, seed):
        class_rows = counts @ rows
        total = class_rows.sum(axis=1)
        means = []
        for sums in (counts @ losses, counts @ hits):
            means += [sums.sum(axis=1) / total, np.nanmean(_ratio(sums, class_rows), axis=1)]
        means.append((counts @ brier)[:, 0] / total)
        values.append(np.column_stack([*means, [by_confidence.aurc(row) for row in counts]]))
    names = [name for name in TABLE_METRICS if name != CALIBRATION_ERROR]
    found = dict(zip(names, percentile_intervals(np.concatenate(values)), strict=True))
    gaps = CalibrationGaps.of(truth, table.probabilities, table.groups)
    found[CALIBRATION_ERROR] = Interval(*gaps.interval(group_resamples(n_groups, resamples, seed), LEVEL))
    return {name: found[name] for name in (ACCURACIES if table.labels_only else TABLE_METRICS)}


def class_intervals(table: ScoreTable) -> dict[str, dict[str, Interval]]:
    """Return the intervals of CLASS_METRICS by scene and name, from the same resamples as `group_intervals`.

    A metric whose rows are of fewer than two groups has no interval: drawing one group repeatedly changes nothing.

    Raises:
        DataError: the table has no truth.
    """
    intervals: dict[str, dict[str, Interval]] = {scene: {} for scene in table.labels}
    n_groups, group = group_indices(table.groups)
    if n_groups < 2:
        return intervals
    rows, losses, hits, predicted = _class_sums(table, n_groups, group)
    fractions = ((hits, predicted), (hits, rows), (2 * hits, rows + predicted), (losses, rows))
    for metric, (numerator, denominator) in zip(CLASS_METRICS, fractions, strict=True):
        if metric == "log_loss" and table.labels_only:
            continue
        values = [_ratio(counts @ numerator, counts @ denominator) for counts in group_resamples(n_groups)]
        scenes = np.flatnonzero((denominator > 0).sum(axis=0) >= 2)
        for scene, interval in zip(scenes, percentile_intervals(np.concatenate(values)[:, scenes]), strict=True):
            intervals[table.labels.names[scene]][metric] = interval
    return intervals


def mean_intervals(sums: FloatArray, rows: FloatArray) -> list[Interval]:
    """Return the intervals of k means over rows, from their `sums` (groups, k) and the number of `rows` (groups,)."""
    values = [counts @ sums / (counts @ rows)[:, None] for counts in group_resamples(len(rows))]
    return percentile_intervals(np.concatenate(values))


def group_indices(groups: Sequence[str] | None) -> tuple[int, IntArray]:
    """Return the number of groups and the index of each row's group (n,); 0 and an empty array without groups."""
    if groups is None:
        return 0, np.zeros(0, np.intp)
    names, group = np.unique(np.array(groups), return_inverse=True)
    return len(names), group


def group_sums(group: IntArray, values: npt.NDArray[Any]) -> FloatArray:
    """Sum each column of `values` (n, k) over the rows of every group: (groups, k); `group` (n,) are group indices."""
    sums: FloatArray = np.column_stack([np.bincount(group, weights=column) for column in values.T])
    return sums


def group_resamples(n_groups: int, resamples: int = RESAMPLES, seed: int = SEED) -> Iterator[FloatArray]:
    """Yield how often each group is in every resample, (at most BATCH, n_groups) at a time."""
    random = np.random.default_rng(seed)
    for start in range(0, resamples, BATCH):
        size = min(BATCH, resamples - start)
        yield random.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=size).astype(float)


def percentile_intervals(values: FloatArray) -> list[Interval]:
    """Return the interval of each column of `values` (resamples, k), without the resamples in which it is NaN."""
    if not values.shape[1]:
        return []  # NumPy's nanquantile returns no rows for no columns
    lows, highs = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [Interval(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]


def _class_sums(
    table: ScoreTable, n_groups: int, group: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Rows, log losses and hits by true scene, and rows by predicted scene, each (groups, n_scenes)."""
    truth, n_scenes = table.truth_index, len(table.labels)
    predicted = table.probabilities.argmax(axis=1)

    def summed(scenes: IntArray, values: FloatArray) -> FloatArray:
        sums = np.bincount(group * n_scenes + scenes, weights=values, minlength=n_groups * n_scenes)
        return sums.reshape(n_groups, n_scenes).astype(np.float64)

    ones = np.ones(len(table))
    losses, hits = row_log_losses(truth, table.probabilities), ones * (predicted == truth)
    return summed(truth, ones), summed(truth, losses), summed(truth, hits), summed(predicted, ones)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(numerator, denominator, out=np.full(denominator.shape, np.nan), where=denominator > 0)
    return ratio


@dataclass(frozen=True, slots=True, eq=False)
class _RowsByConfidence:
    """Rows in order of decreasing confidence, for the AURC of many resamples.

    Attributes:
        group: (n,) group index of each row.
        wrong: (n,) 1 if the predicted scene is wrong, else 0.
        ends: (levels,) the last row of each level of equal confidence.
    """

    group: IntArray
    wrong: IntArray
    ends: IntArray

    @classmethod
    def of(cls, table: ScoreTable, group: IntArray) -> "_RowsByConfidence":
        order, ends = confidence_levels(table.probabilities.max(axis=1))
        wrong = (table.probabilities.argmax(axis=1) != table.truth_index).astype(np.int64)
        return cls(group[order], wrong[order], ends)

    def aurc(self, counts: FloatArray) -> float:
        """`RiskCoverage.area` of the resample with each group so many times."""
        weights = counts.astype(np.int64)[self.group]  # integer sums take a fraction of the time
        accepted, errors = (np.cumsum(values)[self.ends].astype(float) for values in (weights, weights * self.wrong))
        in_level, total = accepted.copy(), accepted[-1]
        in_level[1:] -= accepted[:-1]
        return float(in_level @ (errors / np.maximum(accepted, 1)) / total)
