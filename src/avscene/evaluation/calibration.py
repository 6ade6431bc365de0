"""Compute the calibration of probabilities: the reliability diagram, and the calibration error without its bias.

Confidence is the probability of the predicted scene, which is the one of largest probability. `truth` (n,) are integer
columns of the true scenes; `probabilities` (n, n_scenes) have rows that sum to 1; n >= 1. Malformed input raises
ValueError, which names the problem.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from avscene.evaluation.arguments import TIE_DECIMALS, validate
from avscene.records import FloatArray, IntArray

BINS = 15  # Guo et al. 2017
_SHARES = np.linspace(0, 4, 81)  # of the measured gaps, among which the limits of an interval are searched


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Mean `confidence`, `accuracy` and `count` of every bin, each (bins,)."""

    confidence: FloatArray
    accuracy: FloatArray
    count: IntArray


def reliability(truth: IntArray, probabilities: FloatArray, bins: int = BINS) -> Reliability:
    """Compute accuracy against confidence (the largest probability) in bins of about equal count.

    Equal confidences share a bin (that of their middle rank), so that the order of the rows does not matter; empty
    bins are left out, so there may be fewer than `bins`. Equal-mass bins after Nixon et al. 2019, "Measuring
    Calibration in Deep Learning"; the diagram after Guo et al. 2017, "On Calibration of Modern Neural Networks".

    Raises:
        ValueError: the arrays are malformed or empty, or `bins` is not positive.
    """
    truth, probabilities = validate(truth, probabilities)
    if bins < 1:
        raise ValueError(f"bins must be positive, got {bins}")
    confidence = probabilities.max(axis=1)
    hits = probabilities.argmax(axis=1) == truth
    bin_index = _bins_of_equal_count(confidence, bins)
    count = np.bincount(bin_index, minlength=bins)
    filled = count > 0
    return Reliability(
        confidence=np.bincount(bin_index, weights=confidence, minlength=bins)[filled] / count[filled],
        accuracy=np.bincount(bin_index, weights=hits, minlength=bins)[filled] / count[filled],
        count=count[filled],
    )


def expected_calibration_error(truth: IntArray, probabilities: FloatArray, bins: int = BINS) -> float:
    """Return the ECE: the mean of |accuracy - confidence| over the bins of `reliability`, weighted by count.

    Guo et al. 2017 with the equal-mass bins of Nixon et al. 2019 (there: adaptive calibration error of the predicted
    class). It is biased upwards; `CalibrationGaps.corrected_error` is not.

    Raises:
        ValueError: the arrays are malformed or empty, or `bins` is not positive.
    """
    curve = reliability(truth, probabilities, bins)
    return float(np.average(np.abs(curve.confidence - curve.accuracy), weights=curve.count))


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationGaps:
    """The gaps between accuracy and confidence in the bins of `reliability`, and how they vary between sets of groups.

    The ECE is the sum of their absolute values. Absolute values make an error of noise: the ECE of few groups is too
    high, and resampling, which adds noise, raises it further.

    Attributes:
        gaps: (BINS,) mean of accuracy minus confidence, times the bin's share of the rows.
        influence: (groups, BINS) by how much each group moves them; sums to 0 over groups.
    """

    gaps: FloatArray
    influence: FloatArray

    @classmethod
    def of(cls, truth: IntArray, probabilities: FloatArray, groups: Sequence[str] | None) -> "CalibrationGaps":
        """Return the gaps of rows of `groups` (n,); without groups, rows are independent.

        Raises:
            ValueError: the arrays are malformed or empty.
        """
        truth, probabilities = validate(truth, probabilities)
        confidence = probabilities.max(axis=1)
        excess = (probabilities.argmax(axis=1) == truth) - confidence
        bin_index = _bins_of_equal_count(confidence, BINS)
        sums, count = (np.bincount(bin_index, weights, BINS) for weights in (excess, np.ones(len(truth))))
        centred = excess - (sums / np.maximum(count, 1))[bin_index]
        names, group = (len(truth), np.arange(len(truth))) if groups is None else _indices(groups)
        influence = np.bincount(group * BINS + bin_index, centred, names * BINS).reshape(names, BINS)
        small = np.sqrt(names / max(names - 1, 1))  # Bessel's correction
        return cls(sums / len(truth), influence * small / len(truth))

    @property
    def error(self) -> float:
        """The ECE."""
        return float(np.abs(self.gaps).sum())

    def corrected_error(self) -> float:
        """Return the ECE minus its bias: by how much normal noise of the deviation of `influence` raises it.

        Kumar et al. 2019, "Verified Uncertainty Calibration", there with noise of independent rows. Never negative.
        """
        deviation = np.sqrt((self.influence**2).sum(axis=0))
        return max(0.0, 2 * self.error - float(_expected_absolute(self.gaps, deviation).sum()))

    def interval(self, resamples: Iterable[FloatArray], level: float) -> tuple[float, float]:
        """Return the interval of errors with which the measured ECE is not exceptional; the corrected error is in it.

        A test-inversion bootstrap (Carpenter 1999, "Test inversion bootstrap confidence intervals"): the true gaps are
        taken to be the measured ones times a share, and `resamples`, counts (k, groups) of each group, are the noise.
        """
        totals = []
        for counts in resamples:
            noise = (counts - 1) @ self.influence
            totals.append(np.column_stack([np.abs(share * self.gaps + noise).sum(axis=1) for share in _SHARES]))
        limits = np.quantile(np.concatenate(totals), [(1 + level) / 2, (1 - level) / 2], axis=0)
        low, high = (
            float(np.interp(self.error, np.maximum.accumulate(limit), _SHARES)) * self.error for limit in limits
        )
        corrected = self.corrected_error()
        return min(low, corrected), max(high, corrected)


def _expected_absolute(mean: FloatArray, deviation: FloatArray) -> FloatArray:
    """The means of absolute values of normal variables (the folded normal distribution)."""
    ratio = np.divide(mean, deviation, out=np.zeros_like(mean), where=deviation > 0)
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + mean * special.erf(ratio / np.sqrt(2))
    return np.asarray(np.where(deviation > 0, folded, np.abs(mean)))


def _bins_of_equal_count(confidence: FloatArray, bins: int) -> IntArray:
    """The bin (n,) of each row; equal confidences share that of their middle rank."""
    _, value, repeats = np.unique(confidence.round(TIE_DECIMALS), return_inverse=True, return_counts=True)
    middle = np.cumsum(repeats) - repeats / 2
    return np.asarray(np.minimum((middle * bins / len(confidence)).astype(np.intp), bins - 1)[value])


def _indices(groups: Sequence[str]) -> tuple[int, IntArray]:
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    return len(names), group
