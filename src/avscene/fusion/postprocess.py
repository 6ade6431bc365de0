"""Post-processing of fused probabilities, fitted by log loss on rows that nothing was trained on.

The seed names a post-processing and does not describe it: these steps are our reconstruction. What they give is never
less than FLOOR: a scene that is all but ruled out costs a bounded loss where it was the true one.
"""

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from avscene.fusion.ensemble import FLOOR, normalised, shares, softmax
from avscene.records import FloatArray, IntArray

RIDGE = 0.01  # pull of `vector` towards the identity, per unit of squared distance, against a mean log loss
_TIME_ROUNDING = 1e-6  # seconds: starts are sums of hops and differ in the last digits


def power(probabilities: FloatArray, exponent: float) -> FloatArray:
    """p_c ~ p_c^k: one exponent for all scenes; temperature scaling (Guo et al. 2017) with k = 1/T."""
    return _floored(softmax(exponent * np.log(np.maximum(probabilities, FLOOR))))


def fit_power(probabilities: FloatArray, truth: IntArray, weights: FloatArray | None = None) -> float:
    """The exponent in [0.05, 20] of least log loss; a convex problem in one unknown.

    `weights` (n,) say how much each row counts.
    """
    logs, known, share = _scored(probabilities, truth, weights)

    def loss(exponent: float) -> float:
        return _log_loss(softmax(exponent * logs), known, share)

    return float(optimize.minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x)


def vector(probabilities: FloatArray, scale: FloatArray, bias: FloatArray) -> FloatArray:
    """Log p_c ~ a_c log p_c + b_c with `scale` and `bias` (n_scenes,): vector scaling (Guo et al. 2017)."""
    return _floored(softmax(np.log(np.maximum(probabilities, FLOOR)) * scale + bias))


def fit_vector(
    probabilities: FloatArray, truth: IntArray, weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Scale and bias (n_scenes,) of least log loss plus a ridge towards one shared exponent and no bias.

    Per-class biases overfit where locations are few (hence the ridge). `weights` (n,) say how much each row counts.
    """
    logs, known, share = _scored(probabilities, truth, weights)
    n_scenes = logs.shape[1]
    shared = fit_power(probabilities, truth, weights)
    hot = np.eye(n_scenes)[known]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        scale, bias = parameters[:n_scenes], parameters[n_scenes:]
        pooled = softmax(logs * scale + bias)
        error = (pooled - hot) * share[:, None]
        ridge = RIDGE * (((scale - shared) ** 2).sum() + (bias**2).sum())
        gradient = np.concatenate([(error * logs).sum(0), error.sum(0)])
        gradient += 2 * RIDGE * np.concatenate([scale - shared, bias])
        return _log_loss(pooled, known, share) + float(ridge), gradient

    start = np.concatenate([np.full(n_scenes, shared), np.zeros(n_scenes)])
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found[:n_scenes], found[n_scenes:]


def smooth(probabilities: FloatArray, recordings: Sequence[str], starts: FloatArray, width: float) -> FloatArray:
    """Each row as the mean of its recording's scored rows that start less than half of `width` seconds from it.

    `recordings` (n,) says which recording a row is of, `starts` (n,) when it begins. Rows that are missing stay so.
    """
    smoothed = np.full_like(probabilities, np.nan)
    scored = np.flatnonzero(~np.isnan(probabilities[:, 0]))
    _, recording = np.unique(np.asarray(recordings), return_inverse=True)
    scored = scored[np.lexsort((starts[scored], recording[scored]))]
    for rows in np.split(scored, np.flatnonzero(np.diff(recording[scored])) + 1):
        times = starts[rows]
        reach = width / 2 - _TIME_ROUNDING
        first = np.searchsorted(times, times - reach, side="left")
        last = np.searchsorted(times, times + reach, side="right")
        sums = np.concatenate([np.zeros((1, probabilities.shape[1])), probabilities[rows].cumsum(axis=0)])
        smoothed[rows] = (sums[last] - sums[first]) / (last - first)[:, None]
    return smoothed


def _floored(probabilities: FloatArray) -> FloatArray:
    return normalised(np.maximum(probabilities, FLOOR))


def _scored(
    probabilities: FloatArray, truth: IntArray, weights: FloatArray | None
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Logarithms, true scenes and shares of the rows that are not missing."""
    scored = ~np.isnan(probabilities[:, 0])
    share = shares(None if weights is None else weights[scored], int(scored.sum()))
    return np.log(np.maximum(probabilities[scored], FLOOR)), truth[scored], share


def _log_loss(probabilities: FloatArray, truth: IntArray, share: FloatArray) -> float:
    return float(-share @ np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-300)))
