"""Apply post-processing to fused probabilities: scaling, fitted with a prior, and smoothing over time.

Scaling is fitted on rows that no model was trained on. The paper has a post-processing without a description: these
steps are our reconstruction. Scaled probabilities are at least FLOOR, so that a true scene that is all but excluded
costs a bounded loss.
"""

from collections.abc import Sequence

import numpy as np
import scipy

from avscene.fusion.pooling import FLOOR, normalised, normalised_weights, softmax
from avscene.fusion.prior import DEVIATION, SCENE_DEVIATION, prior_precision
from avscene.records import FloatArray, IntArray

TIME_ROUNDING = 1e-6  # seconds; starts are sums of hops and differ in the last digits


def apply_power(probabilities: FloatArray, exponent: float) -> FloatArray:
    """p_c ~ p_c^k with one exponent k for all scenes: temperature scaling (Guo et al. 2017) with k = 1/T."""
    return _raise_to_floor(softmax(exponent * np.log(np.maximum(probabilities, FLOOR))))


def fit_power(
    probabilities: FloatArray, truth: IntArray, weights: FloatArray | None = None, deviation: float = DEVIATION
) -> float:
    """Return the exponent in [0.05, 20] of maximum posterior: a convex problem in one variable.

    `weights` (n,) are those of the rows, equal by default; `deviation` is that of the prior (prior.py) around 1.
    """
    logs, true, share, precision = _scored_rows(probabilities, truth, weights, deviation)

    def loss(exponent: float) -> float:
        return _weighted_log_loss(softmax(exponent * logs), true, share) + precision * (exponent - 1) ** 2 / 2

    return float(scipy.optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x)


def apply_vector_scaling(probabilities: FloatArray, scale: FloatArray, bias: FloatArray) -> FloatArray:
    """Log p_c ~ a_c log p_c + b_c with `scale` a and `bias` b (n_scenes,): vector scaling (Guo et al. 2017)."""
    return _raise_to_floor(softmax(np.log(np.maximum(probabilities, FLOOR)) * scale + bias))


def fit_vector_scaling(
    probabilities: FloatArray, truth: IntArray, weights: FloatArray | None = None, deviation: float = SCENE_DEVIATION
) -> tuple[FloatArray, FloatArray]:
    """Return scale a and bias b (n_scenes,) of maximum posterior, with the exponent k from `fit_power`.

    The prior (prior.py) of every scale and bias has the mean k or 0 and the standard deviation `deviation`; it counters
    overfitting to few groups. `weights` (n,) are those of the rows; equal by default.
    """
    logs, true, share, precision = _scored_rows(probabilities, truth, weights, deviation)
    n_scenes = logs.shape[1]
    shared = fit_power(probabilities, truth, weights)
    start = np.concatenate([np.full(n_scenes, shared), np.zeros(n_scenes)])
    one_hot = np.eye(n_scenes)[true]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        scaled = softmax(logs * parameters[:n_scenes] + parameters[n_scenes:])
        error = (scaled - one_hot) * share[:, None]
        distance = parameters - start
        gradient = np.concatenate([(error * logs).sum(0), error.sum(0)]) + precision * distance
        return _weighted_log_loss(scaled, true, share) + precision * float(distance @ distance) / 2, gradient

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
    probabilities: FloatArray, truth: IntArray, weights: FloatArray | None, deviation: float
) -> tuple[FloatArray, IntArray, FloatArray, float]:
    """Log-probabilities, true scenes and normalised weights of the rows that are not NaN, and the prior's precision."""
    scored = ~np.isnan(probabilities[:, 0])
    weights, n_rows = None if weights is None else weights[scored], int(scored.sum())
    share, precision = normalised_weights(weights, n_rows), prior_precision(weights, n_rows, deviation)
    return np.log(np.maximum(probabilities[scored], FLOOR)), truth[scored], share, precision


def _weighted_log_loss(probabilities: FloatArray, truth: IntArray, share: FloatArray) -> float:
    return float(-share @ np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-300)))
