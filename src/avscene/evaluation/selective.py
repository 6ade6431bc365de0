"""Choose confidence thresholds from a prediction table so that the error rate of accepted predictions is bounded."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from avscene.errors import UsageError
from avscene.records import BoolArray, FloatArray
from avscene.tables.score_table import ScoreTable

DELTA = 0.05  # probability, over draws of the table, that a threshold exceeds the risk
COVERAGES = tuple(part / 20 for part in range(20, 0, -1))  # shares of the rows to accept, tried from 1 downward


@dataclass(frozen=True, slots=True)
class SelectiveThresholds:
    """The least probability of the predicted scene at which a segment, and a recording, is accepted."""

    segment: float
    recording: float

    @classmethod
    def fit(cls, table: ScoreTable, max_risk: float) -> "SelectiveThresholds":
        """Choose thresholds that bound the error rate of accepted rows by `max_risk`, with confidence 1 - DELTA each.

        Unfamiliar rows are not accepted, whatever their probability.

        Raises:
            UsageError: `max_risk` is not between 0 and 1, or not attainable; the message then has the lowest
                attainable risk.
            DataError: the table has no truth.
        """
        if not 0 < max_risk < 1:
            raise UsageError(f"a risk of {max_risk:g} is not between 0 and 1")
        levels = {"segments": table, "recordings": table.by_recording()}
        return cls(*(_fit_threshold(name, level, max_risk) for name, level in levels.items()))


def risk_bounds(
    confidence: FloatArray, wrong: BoolArray, groups: npt.NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return the threshold of each of COVERAGES and an upper bound of its risk; all bounds hold jointly with 1 - DELTA.

    Selection with guaranteed risk (Geifman & El-Yaniv 2017, Algorithm 1): the exact binomial bound of the risk, with
    the failure probability divided among the thresholds tried. Two things differ. Their algorithm searches by
    bisection; here a fixed list is tried, because with few groups the bound is not monotonic in the coverage. And rows
    of one group are not independent: the number of trials is the number of groups (for unequal sizes Kish's effective
    number), as if all rows of a group were wrong together (Korn & Graubard 1998).

    Args:
        confidence: (n,) probability of the predicted scene of each row.
        wrong: (n,) whether the predicted scene is wrong.
        groups: (n,) group of each row, from 0.
    """
    order = np.sort(confidence)[::-1]
    thresholds = np.array([order[max(math.ceil(share * len(order)) - 1, 0)] for share in COVERAGES])
    bounds = []
    for threshold in thresholds:
        accepted = confidence >= threshold
        sizes = np.bincount(groups[accepted])
        trials = accepted.sum() ** 2 / (sizes**2).sum()
        bounds.append(_upper_bound(float(wrong[accepted].mean()) * trials, trials, DELTA / len(COVERAGES)))
    return thresholds, np.array(bounds)


def _fit_threshold(level: str, table: ScoreTable, max_risk: float) -> float:
    rows = np.flatnonzero(table.familiar)
    if not rows.size:
        raise UsageError(f"{table.source}: all {len(table)} {level} are unfamiliar; no risk can be measured")
    truth, probabilities = table.truth_index[rows], table.probabilities[rows]
    _, groups = np.unique(np.array(table.groups or table.filenames)[rows], return_inverse=True)
    thresholds, bounds = risk_bounds(probabilities.max(axis=1), probabilities.argmax(axis=1) != truth, groups)
    attained = np.flatnonzero(bounds <= max_risk)
    if not attained.size:
        lowest = math.ceil(1000 * bounds.min()) / 1000
        raise UsageError(
            f"{table.source}: no threshold keeps the risk of {level} at {max_risk:g} with {1 - DELTA:.0%} confidence; "
            f"the lowest attainable risk with its {groups.max() + 1} groups is {lowest:g}"
        )
    return float(thresholds[attained[0]])


def _upper_bound(errors: float, trials: float, delta: float) -> float:
    """The error rate that is exceeded with probability at most `delta` (Clopper & Pearson 1934, one-sided)."""
    return 1.0 if errors >= trials else float(scipy.stats.beta.ppf(1 - delta, errors + 1, trials - errors))
