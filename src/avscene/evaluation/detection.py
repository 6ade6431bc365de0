"""Scores and known answers to figures of a yes-or-no decision: area under the curve, F1, the best threshold.

Conventions: `truth` (n,) is true where the answer is yes; `scores` (n,) are higher where yes is more likely.
"""

import numpy as np
from scipy import stats

from avscene.records import BoolArray, FloatArray


def roc_auc(truth: BoolArray, scores: FloatArray) -> float:
    """Area under the receiver operating characteristic: P(a yes scores above a no), ties counting half.

    The Mann-Whitney statistic (Hanley & McNeil 1982); NaN where all answers are the same.
    """
    positives, negatives = truth.sum(), (~truth).sum()
    if not positives or not negatives:
        return float("nan")
    ranks = stats.rankdata(scores)[truth].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def f1(truth: BoolArray, said: BoolArray) -> float:
    """Harmonic mean of precision and recall where `said` (n,) is the answer; NaN where yes is never true nor said."""
    wanted = truth.sum() + said.sum()
    return float(2 * (truth & said).sum() / wanted) if wanted else float("nan")


def best_threshold(truth: BoolArray, scores: FloatArray, weights: FloatArray) -> float:
    """The threshold of greatest F1 over rows that count by `weights` (n,), midway between the scores that it parts.

    Scores from it on say yes. Of equal ones the highest.
    """
    order = np.argsort(-scores, kind="stable")
    scores, hits, said = scores[order], np.cumsum((truth * weights)[order]), np.cumsum(weights[order])
    figures = 2 * hits / ((truth * weights).sum() + said)
    ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))  # equal scores are on one side
    best = int(ends[figures[ends].argmax()])
    return float(scores[best : best + 2].mean())
