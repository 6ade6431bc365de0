"""Probabilities as a text prints them to the step they are rounded to, and what follows from it for sums and zeros."""

import numpy as np

from avscene.records import FloatArray

# Of steps 10^-d. Fewer decimals are answers and votes, whose zeros are meant; more are as good as full precision.
FEWEST_DECIMALS, MOST_DECIMALS = 2, 8
PRECISION = 1e-13  # of a number, by which a float64 times a power of ten may miss what is printed
EXACT = 1e-12  # a sum this near to 1 is 1; dividing by it would only disturb last digits
WIDEST = 0.05 + EXACT  # what rounding to two decimals does at most to the sum of ten numbers
FLOOR = 1e-15  # of full precision; where the log loss is clipped


def rounding_step(values: FloatArray) -> float:
    """The step 10^-d, d = 2 .. 8, that all of `values` are rounded to; 0 for full precision."""
    for decimals in range(MOST_DECIMALS + 1):
        steps = values * 10**decimals
        if (np.abs(steps - np.round(steps)) <= PRECISION * steps).all():
            return 10.0**-decimals if decimals >= FEWEST_DECIMALS else 0.0
    return 0.0


def sum_error(n_scenes: int, step: float) -> float:
    """How far rounding to `step` alone can bring the sum of a row of `n_scenes` from 1, at most `WIDEST`."""
    return min(n_scenes * step / 2 + EXACT, WIDEST)


def rescaled(values: FloatArray, step: float) -> FloatArray:
    """`values` (n, n_scenes) with rows divided by their sums, unless rounding to `step` explains these.

    Those stay as printed: dividing them would move their numbers by more than they are rounded by.
    """
    sums = values.sum(axis=1, keepdims=True)
    explained = np.abs(sums - 1) <= sum_error(values.shape[1], step)
    return np.asarray(np.where(explained, values, values / sums))


def floored(values: FloatArray, step: float) -> FloatArray:
    """`values` (n, n_scenes) for rules that multiply: zeros raised to half of `step`, rows divided by their sums.

    What is printed as 0.000 lies anywhere below 0.0005, and must not veto a scene. Zeros of full precision become
    `FLOOR`.
    """
    raised = np.maximum(values, step / 2 or FLOOR)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
