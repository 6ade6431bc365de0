"""How far the figures of a table would move with other places: intervals by resampling its groups."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avscene.evaluation.metrics import BINS, row_brier_scores, row_log_losses
from avscene.evaluation.risk import descending_levels
from avscene.records import FloatArray, IntArray
from avscene.tables.score_table import ScoreTable

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
BLOCK = 100  # draws at a time, so that memory does not grow with their number
METRICS = (  # as in `Evaluation`
    "log_loss",
    "log_loss_class_mean",
    "accuracy",
    "accuracy_class_mean",
    "brier_score",
    "expected_calibration_error",
    "risk_coverage_area",
)
CLASS_METRICS = ("precision", "recall", "f1", "log_loss")  # as in `Evaluation.per_class`


@dataclass(frozen=True, slots=True)
class Interval:
    """Between which values a figure lies in LEVEL of the draws."""

    low: float
    high: float


def group_intervals(table: ScoreTable, *, draws: int = RESAMPLES, seed: int = SEED) -> dict[str, Interval]:
    """The intervals of METRICS, by their names; none where the table has fewer than two groups.

    Seconds of one place resemble each other, so whole groups are drawn, as many as there are, with replacement (the
    cluster bootstrap; percentile intervals after Efron & Tibshirani 1993, chapter 13). Tables of the same groups get
    the same draws. A scene that a draw has no row of is left out of that draw's class means.

    Raises:
        DataError: the table has no truth.
    """
    truth = table.truth_index
    count, place = group_indices(table.groups)
    if count < 2:
        return {}
    rows, losses, hits, _ = _class_sums(table, count, place)
    brier = group_sums(place, row_brier_scores(truth, table.probabilities)[:, None])
    sure = _BySureness.of(table, place)
    found = []
    for times in group_draws(count, draws, seed):
        counts = times @ rows
        whole = counts.sum(axis=1)
        means = [(times @ brier)[:, 0] / whole]
        for sums in (times @ losses, times @ hits):
            means += [sums.sum(axis=1) / whole, np.nanmean(_ratio(sums, counts), axis=1)]
        found.append(np.column_stack([*means[1:], means[0], np.array([sure.figures(row) for row in times])]))
    return dict(zip(METRICS, percentiles(np.concatenate(found)), strict=True))


def class_intervals(table: ScoreTable) -> dict[str, dict[str, Interval]]:
    """By scene, the intervals of CLASS_METRICS, by the same draws as `group_intervals`.

    A figure that is measured on rows of fewer than two groups has none: drawing one group again changes nothing.

    Raises:
        DataError: the table has no truth.
    """
    found: dict[str, dict[str, Interval]] = {scene: {} for scene in table.labels}
    count, place = group_indices(table.groups)
    if count < 2:
        return found
    rows, losses, hits, answers = _class_sums(table, count, place)
    parts = ((hits, answers), (hits, rows), (2 * hits, rows + answers), (losses, rows))
    for figure, (above, below) in zip(CLASS_METRICS, parts, strict=True):
        drawn = [_ratio(times @ above, times @ below) for times in group_draws(count)]
        known = np.flatnonzero((below > 0).sum(axis=0) >= 2)
        intervals = percentiles(np.concatenate(drawn)[:, known])
        for scene, interval in zip(known, intervals, strict=True):
            found[table.labels.names[scene]][figure] = interval
    return found


def mean_intervals(sums: FloatArray, rows: FloatArray) -> list[Interval]:
    """The intervals of k means over rows, from their `sums` (groups, k) and the number of `rows` (groups,)."""
    return percentiles(np.concatenate([times @ sums / (times @ rows)[:, None] for times in group_draws(len(rows))]))


def group_indices(groups: Sequence[str] | None) -> tuple[int, IntArray]:
    """How many groups there are, and the number of each row's group (n,); nothing where there are none."""
    if groups is None:
        return 0, np.zeros(0, np.intp)
    names, place = np.unique(np.array(groups), return_inverse=True)
    return len(names), place


def group_sums(place: IntArray, values: npt.NDArray[Any]) -> FloatArray:
    """`values` (n, k), each column summed over the rows of every group (groups, k); `place` (n,) as `group_indices`."""
    sums: FloatArray = np.column_stack([np.bincount(place, weights=column) for column in values.T])
    return sums


def group_draws(groups: int, draws: int = RESAMPLES, seed: int = SEED) -> Iterator[FloatArray]:
    """How many times each group is in every draw, (at most BLOCK, groups) at a time."""
    random = np.random.default_rng(seed)
    for start in range(0, draws, BLOCK):
        yield random.multinomial(groups, np.full(groups, 1 / groups), size=min(BLOCK, draws - start)).astype(float)


def percentiles(drawn: FloatArray) -> list[Interval]:
    """The interval of each column of `drawn` (draws, k); draws in which a figure is NaN are left out of its own."""
    if not drawn.shape[1]:
        return []  # NumPy's nanquantile gives no rows for no columns
    lows, highs = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [Interval(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]


def _class_sums(
    table: ScoreTable, groups: int, place: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Rows, their losses and right answers by true scene, and answers by scene, each (groups, n_scenes)."""
    truth, classes = table.truth_index, len(table.labels)
    answers = table.probabilities.argmax(axis=1)

    def summed(scenes: IntArray, values: FloatArray) -> FloatArray:
        sums = np.bincount(place * classes + scenes, weights=values, minlength=groups * classes)
        return sums.reshape(groups, classes).astype(np.float64)

    ones = np.ones(len(table))
    losses = row_log_losses(truth, table.probabilities)
    return summed(truth, ones), summed(truth, losses), summed(truth, ones * (answers == truth)), summed(answers, ones)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    found: FloatArray = np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _BySureness:
    """Rows from the surest down: each one's group, whether it is wrong, and its confidence less 1 if it is right.

    `ends` (levels,) is where each level of equal confidence ends, `level` (n,) the number of each row's.
    """

    place: IntArray
    wrong: IntArray
    excess: FloatArray
    ends: IntArray
    level: IntArray

    @classmethod
    def of(cls, table: ScoreTable, place: IntArray) -> "_BySureness":
        confidence = table.probabilities.max(axis=1)
        order, ends = descending_levels(confidence)
        wrong = (table.probabilities.argmax(axis=1) != table.truth_index).astype(np.int64)
        level = np.searchsorted(ends, np.arange(len(order)))
        return cls(place[order], wrong[order], (confidence + wrong - 1)[order], ends, level)

    def figures(self, times: FloatArray) -> tuple[float, float]:
        """`expected_calibration_error` and `RiskCoverage.area` of the draw that has each group so many `times`."""
        weights = times.astype(np.int64)[self.place]  # sums of integers take a fraction of the time
        answered, errors = (np.cumsum(values)[self.ends].astype(float) for values in (weights, weights * self.wrong))
        level, whole = answered.copy(), answered[-1]
        level[1:] -= answered[:-1]
        area = level @ (errors / np.maximum(answered, 1)) / whole
        middle = whole - answered + level / 2  # rank from the least sure up, as in `reliability`
        bins = np.minimum((middle * BINS / whole).astype(np.intp), BINS - 1)
        gaps = np.bincount(bins[self.level], weights=weights * self.excess)
        return float(np.abs(gaps).sum() / whole), float(area)
