"""Apply post-processing to fused probabilities: scaling, fitted by log loss, and smoothing over time.

Scaling is fitted on rows that no model was trained on. The paper has a post-processing without a description: these
steps are our reconstruction. Scaled probabilities are at least FLOOR, so that a true scene that is all but excluded
costs a bounded loss.
"""

from collections.abc import Sequence

import numpy as np
import scipy

from avscene.fusion.pooling import FLOOR, normalised, normalised_weights, softmax
from avscene.records import FloatArray, IntArray

RIDGE = 0.01  # penalty of `fit_vector_scaling`, per unit of squared distance, against a mean log loss
TIME_ROUNDING = 1e-6  # seconds; starts are sums of hops and differ in the last digits


def apply_power(probabilities: FloatArray, exponent: float) -> FloatArray:
    """p_c ~ p_c^k with one exponent k for all scenes: temperature scaling (Guo et al. 2017) with k = 1/T."""
    return _raise_to_floor(softmax(exponent * np.log(np.maximum(probabilities, FLOOR))))


def fit_power(probabilities: FloatArray, truth: IntArray, weights: FloatArray | None = None) -> float:
    """Return the exponent in [0.05, 20] of least log loss: a convex problem in one variable.

    `weights` (n,) are those of the rows; equal by default.
    """
    logs, true, share = _scored_rows(probabilities, truth, weights)

    def loss(exponent: float) -> float:
        return _weighted_log_loss(softmax(exponent * logs), true, share)

    return float(scipy.optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x)


def apply_vector_scaling(probabilities: FloatArray, scale: FloatArray, bias: FloatArray) -> FloatArray:
    """Log p_c ~ a_c log p_c + b_c with `scale` a and `bias` b (n_scenes,): vector scaling (Guo et al. 2017)."""
    return _raise_to_floor(softmax(np.log(np.maximum(probabilities, FLOOR)) * scale + bias))


def fit_vector_scaling(
    probabilities: FloatArray, truth: IntArray, weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return scale a and bias b (n_scenes,) that minimise log loss + RIDGE (|a - k|^2 + |b|^2), k from `fit_power`.

    The ridge counters overfitting of the biases to few locations. `weights` (n,) are those of the rows; equal by
    default.
    """
    logs, true, share = _scored_rows(probabilities, truth, weights)
    n_scenes = logs.shape[1]
    shared = fit_power(probabilities, truth, weights)
    one_hot = np.eye(n_scenes)[true]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        scale, bias = parameters[:n_scenes], parameters[n_scenes:]
        scaled = softmax(logs * scale + bias)
        error = (scaled - one_hot) * share[:, None]
        ridge = RIDGE * (((scale - shared) ** 2).sum() + (bias**2).sum())
        gradient = np.concatenate([(error * logs).sum(0), error.sum(0)])
        gradient += 2 * RIDGE * np.concatenate([scale - shared, bias])
        return _weighted_log_loss(scaled, true, share) + float(ridge), gradient

    start = np.concatenate([np.full(n_scenes, shared), np.zeros(n_scenes)])
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found[:n_scenes], found[n_scenes:]


def smooth(probabilities: FloatArray, recordings: Sequence[str], starts: FloatArray, width: float) -> FloatArray:
    """Average each row with the scored rows of its recording that start less than half of `width` seconds from it.

    `recordings` (n,) are the recordings of the rows, `starts` (n,) their starts in seconds. NaN rows stay NaN.
    """
    smoothed = np.full_like(probabilities, np.nan)
    scored = np.flatnonzero(~np.isnan(probabilities[:, 0]))
    _, recording = np.unique(np.asarray(recordings), return_inverse=True)
    scored = scored[np.lexsort((starts[scored], recording[scored]))]
    for rows in np.split(scored, np.flatnonzero(np.diff(recording[scored])) + 1):
        times = starts[rows]
        reach = width / 2 - TIME_ROUNDING
        first = np.searchsorted(times, times - reach, side="left")
        last = np.searchsorted(times, times + reach, side="right")
        sums = np.concatenate([np.zeros((1, probabilities.shape[1])), probabilities[rows].cumsum(axis=0)])
        smoothed[rows] = (sums[last] - sums[first]) / (last - first)[:, None]
    return smoothed


def _raise_to_floor(probabilities: FloatArray) -> FloatArray:
    return normalised(np.maximum(probabilities, FLOOR))


def _scored_rows(
    probabilities: FloatArray, truth: IntArray, weights: FloatArray | None
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Log-probabilities, true scenes and normalised weights of the rows that are not NaN."""
    scored = ~np.isnan(probabilities[:, 0])
    share = normalised_weights(None if weights is None else weights[scored], int(scored.sum()))
    return np.log(np.maximum(probabilities[scored], FLOOR)), truth[scored], share


def _weighted_log_loss(probabilities: FloatArray, truth: IntArray, share: FloatArray) -> float:
    return float(-share @ np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-300)))
