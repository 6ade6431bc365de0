"""Rules that fuse the probabilities of several models, and the fitting of their weights.

Conventions: `scores` is (n_models, n, n_scenes), each row of probabilities summing to 1; a row of NaN says that the
model did not score it. Every rule drops the missing models of a row and renormalises the rest; where all are missing
the row stays NaN. `truth` is (n,) scene indices. Weights are fitted on rows that no model was trained on.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize

from avscene.records import FloatArray

IntArray = npt.NDArray[np.integer]

# Log-probabilities are taken of values no smaller than this, so that one model's zero cannot veto all the others.
FLOOR = 1e-6
RULES = ("mean", "product", "classwise", "log-pool")


def mean(scores: FloatArray) -> FloatArray:
    """p_c ~ sum_m p_mc: the linear opinion pool with equal weights (Kittler et al. 1998, sum rule)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a row that nobody scored is NaN, as it should be
        return normalised(np.nanmean(scores, axis=0))


def product(scores: FloatArray) -> FloatArray:
    """p_c ~ prod_m p_mc (Kittler et al. 1998, product rule with equal priors)."""
    return log_pool(scores, np.ones(len(scores)))


def classwise(scores: FloatArray, weights: FloatArray) -> FloatArray:
    """p_c ~ sum_m w_mc p_mc with one confidence (n_models, n_scenes) per model and class: the seed's rule.

    The seed says "class-wise confidences" and no more; that they are precisions is our reconstruction. A model that is
    alone in a row answers as it is.
    """
    return normalised(_sum(scores * _in_company(weights[:, None, :], scores), scores))


def log_pool(scores: FloatArray, exponents: FloatArray) -> FloatArray:
    """p_c ~ prod_m p_mc^a_m with a_m >= 0: the log-linear opinion pool (Genest & Zidek 1986). Ours for this task.

    Independent evidence multiplies. A model that is alone in a row answers as it is: exponents are fitted for company.
    """
    logs = np.log(np.maximum(scores, FLOOR))
    return softmax(_sum(_in_company(exponents[:, None, None], scores) * logs, scores))


def fit_classwise(scores: FloatArray, truth: IntArray) -> FloatArray:
    """Precision (n_models, n_scenes) of each model's decisions for each scene: P(truth is c | the model says c).

    Laplace smoothing with one pseudo-decision at chance keeps a scene that a model never names from weight 0.
    """
    n_models, _, n_scenes = scores.shape
    weights = np.empty((n_models, n_scenes))
    for model, probabilities in enumerate(scores):
        present = ~np.isnan(probabilities[:, 0])
        said = probabilities[present].argmax(axis=1)
        hits = np.bincount(said[said == truth[present]], minlength=n_scenes)
        weights[model] = (hits + 1 / n_scenes) / (np.bincount(said, minlength=n_scenes) + 1)
    return weights


def fit_log_pool(scores: FloatArray, truth: IntArray) -> FloatArray:
    """Exponents (n_models,) >= 0 of least log loss over the rows that every model scored; a convex problem.

    Equal ones that sum to 1 where there is no such row.
    """
    start = np.full(len(scores), 1 / len(scores))
    complete = ~np.isnan(scores).any(axis=(0, 2))
    if not complete.any():
        return start
    logs = np.log(np.maximum(scores[:, complete], FLOOR))
    known = truth[complete]
    rows = np.arange(len(known))

    def loss(exponents: FloatArray) -> tuple[float, FloatArray]:
        pooled = softmax(np.tensordot(exponents, logs, axes=1))
        expected = (pooled * logs).sum(axis=2).mean(axis=1)
        gradient = expected - logs[:, rows, known].mean(axis=1)
        return float(-np.log(np.maximum(pooled[rows, known], 1e-300)).mean()), gradient

    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores))
    return np.asarray(found.x)


def fuse(rule: str, scores: Sequence[FloatArray], weights: FloatArray | None = None) -> FloatArray:
    """Apply a rule by its name to the (n, n_scenes) scores of each model.

    Raises:
        ValueError: an unknown rule, or one whose weights are missing.
    """
    stacked = np.stack(scores)
    if rule == "mean":
        return mean(stacked)
    if rule == "product":
        return product(stacked)
    if weights is None:
        raise ValueError(f"rule {rule!r} needs fitted weights" if rule in RULES else f"unknown rule {rule!r}")
    return classwise(stacked, weights) if rule == "classwise" else log_pool(stacked, weights)


def normalised(values: FloatArray) -> FloatArray:
    """Rows (n, n_scenes) scaled to sum to 1."""
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def softmax(logits: FloatArray) -> FloatArray:
    """Rows (n, n_scenes) of probabilities; NaN rows stay NaN."""
    return normalised(np.exp(logits - logits.max(axis=1, keepdims=True)))


def _in_company(weights: FloatArray, scores: FloatArray) -> FloatArray:
    """The weights of models, made 1 in the rows where only one model scored."""
    alone = (~np.isnan(scores[:, :, :1])).sum(axis=0) == 1
    return np.where(alone[None], 1.0, weights)


def _sum(values: FloatArray, scores: FloatArray) -> FloatArray:
    """Sum over the models that scored a row; NaN where none did."""
    total = np.nansum(values, axis=0)
    total[np.isnan(scores).all(axis=(0, 2))] = np.nan
    return np.asarray(total)
