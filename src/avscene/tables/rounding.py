"""Detect the decimals that probabilities were rounded to, and rescale rows and raise zeros accordingly."""

import numpy as np

from avscene.records import FloatArray

# Decimals of a rounding step. With fewer, values are votes or one-hot labels, whose zeros are exact; with more, they
# are as good as full precision.
FEWEST_DECIMALS, MOST_DECIMALS = 2, 8
PRECISION = 1e-13  # relative error of a float64 times a power of ten
EXACT = 1e-12  # a sum this near to 1 counts as 1; dividing by it would only change last digits
MAX_SUM_ERROR = 0.05 + EXACT  # of a row of ten numbers with two decimals each
SIGNIFICANT_DIGITS = 15  # that a float64 keeps through text and back
ZERO_REPLACEMENT = 1e-15  # in full precision; where the log loss is clipped


def rounding_step(values: FloatArray) -> float:
    """Return the step 10^-d, d = 2 .. 8, that all of `values` are rounded to; 0 for full precision."""
    for decimals in range(MOST_DECIMALS + 1):
        steps = values * 10**decimals
        if (np.abs(steps - np.round(steps)) <= PRECISION * steps).all():
            return 10.0**-decimals if decimals >= FEWEST_DECIMALS else 0.0
    return 0.0


def max_sum_error(n_scenes: int, step: float) -> float:
    """Return how far rounding to `step` can move the sum of a row of `n_scenes` from 1, at most `MAX_SUM_ERROR`."""
    return min(n_scenes * step / 2 + EXACT, MAX_SUM_ERROR)


def rescale_rows(values: FloatArray, step: float) -> FloatArray:
    """Divide the rows of `values` (n, n_scenes) by their sums, except where rounding to `step` explains the sum.

    Those rows stay as printed: division would change their numbers by more than the rounding did.
    """
    sums = values.sum(axis=1, keepdims=True)
    explained = np.abs(sums - 1) <= max_sum_error(values.shape[1], step)
    return np.asarray(np.where(explained, values, values / sums))


def raise_zeros(values: FloatArray, step: float) -> FloatArray:
    """Raise zeros in `values` (n, n_scenes) to half of `step` and divide rows by their sums, for rules that multiply.

    A printed 0.000 is some value below 0.0005 and must not veto a scene. In full precision (`step` 0), zeros become
    `ZERO_REPLACEMENT`.
    """
    raised = np.maximum(values, step / 2 or ZERO_REPLACEMENT)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
