"""How far the figures of a table would move with other places: intervals by resampling its groups."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avscene.evaluation.metrics import row_log_losses
from avscene.evaluation.score_table import ScoreTable
from avscene.records import FloatArray

DRAWS = 1000
LEVEL = 0.95
SEED = 0
BLOCK = 100  # draws at a time, so that memory does not grow with their number
FIGURES = ("log_loss", "log_loss_class_mean", "accuracy", "accuracy_class_mean")  # as in `Evaluation`


@dataclass(frozen=True, slots=True)
class Interval:
    """Between which values a figure lies in LEVEL of the draws."""

    low: float
    high: float


def group_intervals(table: ScoreTable, *, draws: int = DRAWS, seed: int = SEED) -> dict[str, Interval]:
    """The intervals of FIGURES, by their names; none where the table has fewer than two groups.

    Seconds of one place resemble each other, so whole groups are drawn, as many as there are, with replacement (the
    cluster bootstrap; percentile intervals after Efron & Tibshirani 1993, chapter 13). Tables of the same groups get
    the same draws. A scene that a draw has no row of is left out of that draw's class means.

    Raises:
        DataError: the table has no truth.
    """
    rows, losses, hits = _sums(table)
    groups = len(rows)
    if groups < 2:
        return {}
    random = np.random.default_rng(seed)
    found = []
    for start in range(0, draws, BLOCK):
        times = random.multinomial(groups, np.full(groups, 1 / groups), size=min(BLOCK, draws - start)).astype(float)
        found.append(_figures(times @ rows, times @ losses, times @ hits))
    lows, highs = np.quantile(np.concatenate(found, axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return {name: Interval(float(low), float(high)) for name, low, high in zip(FIGURES, lows, highs, strict=True)}


def _sums(table: ScoreTable) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rows, their losses and right answers, each summed over every group and scene (groups, n_scenes)."""
    truth, classes = table.truth_index, len(table.labels)
    if table.groups is None:
        empty = np.zeros((0, classes))
        return empty, empty, empty
    names, place = np.unique(np.array(table.groups), return_inverse=True)
    hits = table.probabilities.argmax(axis=1) == truth

    def summed(values: npt.NDArray[np.generic]) -> FloatArray:
        sums = np.bincount(place * classes + truth, weights=values, minlength=len(names) * classes)
        return sums.reshape(len(names), classes).astype(np.float64)

    return summed(np.ones(len(table))), summed(row_log_losses(truth, table.probabilities)), summed(hits)


def _figures(rows: FloatArray, losses: FloatArray, hits: FloatArray) -> FloatArray:
    """(4, draws) FIGURES of every draw, from its sums (draws, n_scenes)."""
    found = []
    for sums in (losses, hits):
        means = np.divide(sums, rows, out=np.full(rows.shape, np.nan), where=rows > 0)
        found += [sums.sum(axis=1) / rows.sum(axis=1), np.nanmean(means, axis=1)]
    return np.array(found)
