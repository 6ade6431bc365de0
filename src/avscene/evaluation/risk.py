"""Compute the risk-coverage curve of selective prediction: the error rate if only confident rows are accepted."""

from dataclasses import dataclass

import numpy as np

from avscene.evaluation.arguments import TIE_DECIMALS, validate
from avscene.records import FloatArray, IntArray

COVERAGE_ROUNDING = 1e-9  # float error of a coverage, which is a ratio of counts


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """One point for each level of confidence, from the highest down; every array is (levels,).

    If only rows whose confidence is at least `threshold` are accepted, the share `coverage` of the rows is accepted,
    and the share `risk` of the accepted rows is predicted wrongly. The last point accepts all rows.
    """

    coverage: FloatArray
    risk: FloatArray
    threshold: FloatArray

    @property
    def area(self) -> float:
        """The AURC: the mean risk over all coverages, from 0 (no errors) to 1.

        A coverage between two points takes the risk of the next point with at least that coverage. Without ties this
        is the AURC of Geifman et al. 2019, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers"; if all
        confidences are equal it is the risk of accepting all rows.
        """
        return float(np.diff(self.coverage, prepend=0) @ self.risk)

    def thinned(self, points: int) -> "RiskCoverage":
        """Return the first point that reaches each of `points` evenly spaced coverages, for plots and files."""
        coverages = np.arange(1, points + 1) / points
        kept = np.unique(np.searchsorted(self.coverage, coverages - COVERAGE_ROUNDING))
        return RiskCoverage(self.coverage[kept], self.risk[kept], self.threshold[kept])


def risk_coverage(truth: IntArray, probabilities: FloatArray) -> RiskCoverage:
    """Compute the risk at every coverage that a threshold on the confidence (the largest probability) can reach.

    Equal confidences are accepted together, so that the order of the rows does not matter. The trade-off is that of
    El-Yaniv & Wiener 2010, "On the Foundations of Noise-free Selective Classification"; the confidence is the softmax
    response of Geifman & El-Yaniv 2017, "Selective Classification for Deep Neural Networks".

    Args:
        truth: (n,) integer columns of the true scenes.
        probabilities: (n, n_scenes).

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    confidence = probabilities.max(axis=1)
    wrong = probabilities.argmax(axis=1) != truth
    order, ends = confidence_levels(confidence)
    accepted = ends + 1
    return RiskCoverage(
        coverage=accepted / len(truth),
        risk=np.cumsum(wrong[order])[ends] / accepted,
        threshold=np.minimum.accumulate(confidence[order])[ends],
    )


def confidence_levels(confidence: FloatArray) -> tuple[IntArray, IntArray]:
    """Sort rows by decreasing `confidence` (n,): their order (n,) and the end in it of each level of ties (levels,)."""
    level = confidence.round(TIE_DECIMALS)
    order = np.argsort(-level, kind="stable")
    return order, np.flatnonzero(np.diff(level[order], append=-1))
