"""Pool the probabilities of several models by a rule, and fit the weights of the rules.

Conventions: `scores` is (n_models, n, n_scenes), each row of probabilities summing to 1; a row of NaN is not scored by
that model. Every rule drops the missing models of a row and normalises the rest; a row that no model scored stays NaN.
`truth` is (n,) scene indices. Weights are fitted on rows that no model was trained on. In the formulas m is a model, c
a scene, and `~` stands for normalisation over the scenes.
"""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy

from avscene.fusion.prior import DEVIATION, prior_precision
from avscene.records import FloatArray, IntArray, Needs

# Logarithms are taken of probabilities no smaller than this, so that one model's zero cannot veto all the others.
FLOOR = 1e-6
Confidence = Literal["precision", "recall", "f1"]


def mean(scores: FloatArray) -> FloatArray:
    """p_c ~ sum_m p_mc: the linear opinion pool with equal weights (Kittler et al. 1998, sum rule)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a row that no model scored is NaN, as intended
        return normalised(np.nanmean(scores, axis=0))


def product(scores: FloatArray) -> FloatArray:
    """p_c ~ prod_m p_mc (Kittler et al. 1998, product rule with equal priors)."""
    return log_pool(scores, np.ones(len(scores)))


def classwise(scores: FloatArray, weights: FloatArray) -> FloatArray:
    """p_c ~ sum_m w_mc p_mc with `weights` (n_models, n_scenes), one per model and scene: the paper's rule.

    The paper says "class-wise confidences" without a definition; that they are precisions is our reconstruction. In a
    row that only one model scored, its probabilities are returned unchanged.
    """
    return normalised(_sum_models(scores * _one_if_alone(weights[:, None, :], scores), scores))


def samplewise(scores: FloatArray) -> FloatArray:
    """p_c ~ sum_m max_k(p_mk) p_mc: each model is weighted by its confidence in the row.

    The other reading of the paper's "class-wise confidences"; it has no weights to fit.
    """
    return normalised(_sum_models(scores * scores.max(axis=2, keepdims=True), scores))


def log_pool(scores: FloatArray, exponents: FloatArray) -> FloatArray:
    """p_c ~ prod_m p_mc^a_m with `exponents` a_m >= 0 (n_models,): the log-linear opinion pool (Genest & Zidek 1986).

    Independent evidence multiplies. The rule is not in the paper. In a row that only one model scored, its
    probabilities are returned unchanged: exponents are fitted for several models together.
    """
    logs = np.log(np.maximum(scores, FLOOR))
    return softmax(_sum_models(_one_if_alone(exponents[:, None, None], scores) * logs, scores))


def fit_classwise(
    scores: FloatArray, truth: IntArray, confidence: Confidence = "precision", weights: FloatArray | None = None
) -> FloatArray:
    """Return the confidence (n_models, n_scenes) in each model for each scene, over the rows that it scored.

    `precision` is P(truth is c | the model predicts c), `recall` P(the model predicts c | truth is c) and `f1` their
    harmonic mean; rows count by `weights` (n,), equally by default. Laplace smoothing with a weight of 1 at chance, one
    group if every group weighs 1, keeps the confidence in a scene that a model never predicts above 0.
    """
    n_models, _, n_scenes = scores.shape
    confidences = np.empty((n_models, n_scenes))
    weights = np.ones(len(truth)) if weights is None else weights
    for model, probabilities in enumerate(scores):
        scored = ~np.isnan(probabilities[:, 0])
        predicted, true, weight = probabilities[scored].argmax(axis=1), truth[scored], weights[scored]
        hits = np.bincount(true, weights=weight * (predicted == true), minlength=n_scenes)
        predictions, rows = (np.bincount(scenes, weights=weight, minlength=n_scenes) for scenes in (predicted, true))
        totals = {"precision": predictions, "recall": rows, "f1": (predictions + rows) / 2}[confidence]
        confidences[model] = (hits + 1 / n_scenes) / (totals + 1)
    return confidences


def fit_log_pool(
    scores: FloatArray,
    truth: IntArray,
    weights: FloatArray | None = None,
    needs: Sequence[Needs] | None = None,
    deviation: float = DEVIATION,
) -> FloatArray:
    """Return the exponents a (n_models,) >= 0 of maximum posterior over the rows that every model scored.

    They minimise the convex function

        -sum_i w_i ln p_i(truth_i) / sum_i w_i  +  sum_d (sum_m s_dm a_m - 1)^2 / (2 deviation^2 sum_i w_i)

    with the pooled probabilities p_i of row i, its weight w_i, and for each modality d the relative spread s_dm of
    model m (`_relative_spreads`: 1 for the model of largest spread, 0 for a model without the modality).

    The prior (prior.py) matters if groups are few. Audio and video are nearly independent evidence of a scene, so the
    models of a modality together are expected to weigh as much as its most confident model alone. How they share the
    weight is left to the rows; a copy of a model, or a model with uniform probabilities, changes nothing. Without a
    complete row the exponents are equal and sum to 1.

    Args:
        scores: (n_models, n, n_scenes).
        truth: (n,) scene indices.
        weights: (n,) weight of each row; equal by default.
        needs: the input of each model; by default all need both modalities.
        deviation: standard deviation of the prior on a modality's total weight, whose mean is 1.
    """
    n_models, _, n_scenes = scores.shape
    start = np.full(n_models, 1 / n_models)
    complete = ~np.isnan(scores).any(axis=(0, 2))
    if not complete.any():
        return start
    true = truth[complete]
    weights = None if weights is None else weights[complete]
    share, precision = normalised_weights(weights, len(true)), prior_precision(weights, len(true), deviation)
    logs = np.log(np.maximum(scores[:, complete], FLOOR))
    spreads = _relative_spreads(logs, share, needs)
    logs = logs.reshape(n_models, -1)
    rows = np.arange(len(true))

    def loss(exponents: FloatArray) -> tuple[float, FloatArray]:
        pooled = softmax((exponents @ logs).reshape(-1, n_scenes))
        excess = spreads @ exponents - 1
        value = -share @ np.log(np.maximum(pooled[rows, true], 1e-300)) + precision * excess @ excess / 2
        pooled[rows, true] -= 1
        return float(value), logs @ (share[:, None] * pooled).ravel() + precision * excess @ spreads

    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * n_models)
    return np.asarray(found.x)


def _relative_spreads(logs: FloatArray, share: FloatArray, needs: Sequence[Needs] | None) -> FloatArray:
    """(1 or 2, n_models) by modality, each model's spread over the largest of the modality; 0 for models without it.

    The spread is the root mean square distance of the log-probabilities `logs` (n_models, n, n_scenes) from their mean
    over scenes: the larger, the more confident the model. Modalities with the same models have one row together.
    """
    spreads = np.sqrt(logs.var(axis=2) @ share)
    needs = ["both"] * len(spreads) if needs is None else needs
    masks = {tuple(need in (modality, "both") for need in needs) for modality in ("audio", "video")}
    return np.stack(
        [mask * spreads / max((mask * spreads).max(), FLOOR) for mask in map(np.array, masks) if mask.any()]
    )


def group_weights(groups: Sequence[str]) -> FloatArray:
    """Return the weight of each row (n,) that gives every group equal weight: one over the rows of its group."""
    _, group, count = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return np.asarray(1 / count[group])


def normalised_weights(weights: FloatArray | None, n_rows: int) -> FloatArray:
    """Return `weights` (n_rows,) divided by their sum; equal weights if there are none."""
    return np.full(n_rows, 1 / n_rows) if weights is None else np.asarray(weights / weights.sum())


def normalised(values: FloatArray) -> FloatArray:
    """Return rows (n, n_scenes) scaled to sum to 1."""
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def softmax(logits: FloatArray) -> FloatArray:
    """Return rows (n, n_scenes) of probabilities; NaN rows stay NaN."""
    return normalised(np.exp(logits - logits.max(axis=1, keepdims=True)))


def _one_if_alone(weights: FloatArray, scores: FloatArray) -> FloatArray:
    """The weights of models, replaced by 1 in the rows that only one model scored."""
    alone = (~np.isnan(scores[:, :, :1])).sum(axis=0) == 1
    return np.where(alone[None], 1.0, weights)


def _sum_models(values: FloatArray, scores: FloatArray) -> FloatArray:
    """The sum over the models that scored a row; NaN if none did."""
    total = np.nansum(values, axis=0)
    total[np.isnan(scores).all(axis=(0, 2))] = np.nan
    return np.asarray(total)
