"""Truth and probabilities in; out, how often one errs if one answers only where one is sure: risk against coverage."""

from dataclasses import dataclass

import numpy as np

from avscene.evaluation.arguments import TIE_DECIMALS, validate
from avscene.records import FloatArray, IntArray

ROUNDING = 1e-9  # of a coverage, which is a ratio of counts


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """One point for each level of confidence, from the surest down; every array is (levels,).

    If only rows whose confidence is at least `threshold` are answered, the share `coverage` of the rows is answered
    and the share `risk` of those answers is wrong. The last point answers everything.
    """

    coverage: FloatArray
    risk: FloatArray
    threshold: FloatArray

    @property
    def area(self) -> float:
        """Area under the curve, from 0 (no errors) to 1: the mean risk over all coverages.

        A coverage between two points takes the risk of the next point that has at least as much. Without equal
        confidences this is the AURC of Geifman et al. 2019, "Bias-Reduced Uncertainty Estimation for Deep
        Neural Classifiers"; where all confidences are equal it is the risk of answering everything.
        """
        return float(np.diff(self.coverage, prepend=0) @ self.risk)

    def thinned(self, points: int) -> "RiskCoverage":
        """The first point of at least each of `points` even coverages: so much of it as can be drawn or written."""
        wanted = np.arange(1, points + 1) / points
        kept = np.unique(np.searchsorted(self.coverage, wanted - ROUNDING))
        return RiskCoverage(self.coverage[kept], self.risk[kept], self.threshold[kept])


def risk_coverage(truth: IntArray, probabilities: FloatArray) -> RiskCoverage:
    """Risk at every coverage that a threshold on the confidence (the probability of the answer) can reach.

    `truth` (n,) integer columns, `probabilities` (n, n_scenes). Equal confidences are answered together or not at
    all, so that the order of the rows cannot matter. The trade-off is that of El-Yaniv & Wiener 2010, "On the
    Foundations of Noise-free Selective Classification"; the confidence is the softmax response of Geifman &
    El-Yaniv 2017, "Selective Classification for Deep Neural Networks".

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != truth
    order, ends = descending_levels(confidence)
    answered = ends + 1
    return RiskCoverage(
        coverage=answered / len(truth),
        risk=np.cumsum(wrong[order])[ends] / answered,
        threshold=np.minimum.accumulate(confidence[order])[ends],
    )


def descending_levels(confidence: FloatArray) -> tuple[IntArray, IntArray]:
    """The rows (n,) from the surest down, and where in that order each level of equal confidence ends (levels,)."""
    level = confidence.round(TIE_DECIMALS)
    order = np.argsort(-level, kind="stable")
    return order, np.flatnonzero(np.diff(level[order], append=-1))
