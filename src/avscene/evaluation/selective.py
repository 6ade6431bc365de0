"""A table of what a system said, and the risk that one will bear, to the confidence from which on it is believed."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from avscene.errors import UsageError
from avscene.records import BoolArray, FloatArray
from avscene.tables.score_table import ScoreTable

DELTA = 0.05  # probability, over what the table was drawn from, that a threshold does not keep the risk
COVERAGES = tuple(part / 20 for part in range(20, 0, -1))  # shares of the rows that may be accepted, all of them first

Groups = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class SelectiveThresholds:
    """The least probability of its answer from which on a segment, and a recording, is accepted."""

    segment: float
    recording: float

    @classmethod
    def of(cls, table: ScoreTable, max_risk: float) -> "SelectiveThresholds":
        """Thresholds that keep the share of wrong answers among accepted ones, with confidence 1 - DELTA each.

        Raises:
            UsageError: the risk is no share, or no threshold keeps it; the message tells the least that can be had.
            DataError: the table has no truth.
        """
        if not 0 < max_risk < 1:
            raise UsageError(f"a risk of {max_risk:g} is not between 0 and 1")
        levels = {"segments": table, "recordings": table.by_recording()}
        return cls(*(_threshold(name, level, max_risk) for name, level in levels.items()))


def thresholds(confidence: FloatArray, wrong: BoolArray, groups: Groups) -> tuple[FloatArray, FloatArray]:
    """The threshold of each of COVERAGES and an upper bound of its risk; all bounds hold at once with 1 - DELTA.

    Selection with guaranteed risk (Geifman & El-Yaniv 2017, Algorithm 1): the exact binomial bound of the risk, the
    probability of failure shared out among the thresholds that are tried. Two things differ. Where theirs searches by
    bisection, we try a fixed list: with few places the bound does not fall steadily with coverage. And rows of one
    group are not independent: the bound counts as many trials as there are groups (of unequal size fewer: Kish's
    effective number), as if all rows of a group were wrong together (Korn & Graubard 1998).

    Args:
        confidence: (n,) probability of each row's answer.
        wrong: (n,) whether the answer is wrong.
        groups: (n,) group of each row, from 0.
    """
    order = np.sort(confidence)[::-1]
    tried = np.array([order[max(math.ceil(share * len(order)) - 1, 0)] for share in COVERAGES])
    bounds = []
    for threshold in tried:
        accepted = confidence >= threshold
        sizes = np.bincount(groups[accepted])
        trials = accepted.sum() ** 2 / (sizes**2).sum()
        bounds.append(_upper_bound(float(wrong[accepted].mean()) * trials, trials, DELTA / len(COVERAGES)))
    return tried, np.array(bounds)


def _threshold(name: str, table: ScoreTable, max_risk: float) -> float:
    truth, probabilities = table.truth_index, table.probabilities
    _, groups = np.unique(np.array(table.groups or table.filenames), return_inverse=True)
    tried, bounds = thresholds(probabilities.max(axis=1), probabilities.argmax(axis=1) != truth, groups)
    kept = np.flatnonzero(bounds <= max_risk)
    if not kept.size:
        least = math.ceil(1000 * bounds.min()) / 1000
        raise UsageError(
            f"{table.source}: no threshold keeps the risk of {name} at {max_risk:g} with {1 - DELTA:.0%} confidence; "
            f"{least:g} is the least that can be had from its {groups.max() + 1} groups"
        )
    return float(tried[kept[0]])


def _upper_bound(errors: float, trials: float, delta: float) -> float:
    """The share of errors that is exceeded with probability `delta` at most (Clopper & Pearson 1934, one-sided)."""
    return 1.0 if errors >= trials else float(stats.beta.ppf(1 - delta, errors + 1, trials - errors))
