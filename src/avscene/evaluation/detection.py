"""Compute metrics of a binary decision from scores and true classes: ROC AUC, F1, the threshold of greatest F1.

Conventions: `truth` (n,) is True for the positive class; `scores` (n,) are higher where it is more likely.
"""

import numpy as np
import scipy

from avscene.records import BoolArray, FloatArray


def roc_auc(truth: BoolArray, scores: FloatArray) -> float:
    """Return the area under the ROC curve: P(a positive scores above a negative), ties counting half.

    The Mann-Whitney statistic (Hanley & McNeil 1982); NaN if there is only one class.
    """
    positives, negatives = truth.sum(), (~truth).sum()
    if not positives or not negatives:
        return float("nan")
    ranks = scipy.stats.rankdata(scores)[truth].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def f1(truth: BoolArray, predicted: BoolArray) -> float:
    """Return 2 TP / (2 TP + FP + FN), `predicted` (n,) against `truth`; NaN if neither has a positive."""
    total = truth.sum() + predicted.sum()
    return float(2 * (truth & predicted).sum() / total) if total else float("nan")


def best_threshold(truth: BoolArray, scores: FloatArray, weights: FloatArray) -> float:
    """Return the threshold of greatest F1 over rows weighted by `weights` (n,).

    It lies midway between two scores; scores from it upward are positive. If thresholds tie, the highest is taken.
    """
    order = np.argsort(-scores, kind="stable")
    scores, hits, predicted = scores[order], np.cumsum((truth * weights)[order]), np.cumsum(weights[order])
    f1_scores = 2 * hits / ((truth * weights).sum() + predicted)
    ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))  # equal scores are on one side
    best = int(ends[f1_scores[ends].argmax()])
    return float(scores[best : best + 2].mean())
