"""Check the true scenes and probabilities that every metric takes as arguments."""

import numpy as np

from avscene.records import FloatArray, IntArray
from avscene.tables.rounding import MAX_SUM_ERROR

TIE_DECIMALS = 12  # confidences that agree to here are equal: the order of a summation changes the last bits


def validate(truth: IntArray, probabilities: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return `truth` (n,) and `probabilities` (n, n_scenes) as arrays, n >= 1, the latter as float64.

    Rows of probabilities sum to 1, up to the rounding of a text.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = np.asarray(truth), np.asarray(probabilities)
    if probabilities.ndim != 2 or truth.ndim != 1 or len(truth) != len(probabilities):
        raise ValueError(f"truth of shape {truth.shape} does not fit probabilities of shape {probabilities.shape}")
    if not len(truth):
        raise ValueError("there are no rows to evaluate")
    if not np.issubdtype(truth.dtype, np.integer):
        raise ValueError(f"truth must be integers, got {truth.dtype}")
    if not np.issubdtype(probabilities.dtype, np.floating):
        raise ValueError(f"probabilities must be floating-point numbers, got {probabilities.dtype}")
    if truth.min() < 0 or truth.max() >= probabilities.shape[1]:
        raise ValueError(f"truth must lie in 0 .. {probabilities.shape[1] - 1}")
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise ValueError("probabilities must be finite and not negative")
    probabilities = probabilities.astype(np.float64, copy=False)
    if not np.allclose(probabilities.sum(axis=1), 1, rtol=0, atol=MAX_SUM_ERROR):
        raise ValueError("each row of probabilities must sum to 1")
    return truth, probabilities
