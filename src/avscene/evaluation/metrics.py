"""Figures of merit for scene probabilities, and what they say of one table.

Conventions, the same in every function:

- `truth` (n,) integer columns of the true scenes; `probabilities` (n, n_scenes), rows summing to 1 as far
  as the rounding of a text lets them; n >= 1.
- The answer to a row is its largest probability; of equal ones the first in the order of the scenes.
- Logarithms are natural. Probabilities are clipped to [EPSILON, 1 - EPSILON] and rows not renormalised
  afterwards, as in scikit-learn's `log_loss`: a true scene that was given 0 costs 34.5.
- Figures of a scene that has no row are NaN; means over scenes leave those out.
- Malformed input raises ValueError, naming what is wrong: validate -> compute.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avscene.evaluation.arguments import TIE_DECIMALS, validate
from avscene.evaluation.risk import risk_coverage
from avscene.records import FloatArray, IntArray
from avscene.tables.score_table import ScoreTable

EPSILON = 1e-15
BINS = 15  # Guo et al. 2017


def _losses(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """(n,) loss of every row."""
    given = probabilities[np.arange(len(truth)), truth]
    losses: FloatArray = -np.log(np.clip(given, EPSILON, 1 - EPSILON))
    return losses


def _mean_by_class(truth: IntArray, values: FloatArray, classes: int) -> FloatArray:
    """(classes,) mean of `values` (n,) over the rows of each class; NaN where there are none."""
    counts = np.bincount(truth, minlength=classes)
    sums = np.bincount(truth, weights=values, minlength=classes)
    means: FloatArray = np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0)
    return means


def row_log_losses(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """(n,) minus the natural logarithm of the probability of each row's true scene.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    return _losses(*validate(truth, probabilities))


def log_loss(truth: IntArray, probabilities: FloatArray) -> float:
    """Mean of -ln of the probability of the true scene: 0 is perfect, ln(n_scenes) a blind guess.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    return float(_losses(*validate(truth, probabilities)).mean())


def accuracy(truth: IntArray, probabilities: FloatArray) -> float:
    """Share of the rows whose answer is the true scene.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    return float((probabilities.argmax(axis=1) == truth).mean())


def brier_score(truth: IntArray, probabilities: FloatArray) -> float:
    """Squared distance of the probabilities from the truth, summed over scenes and averaged over rows.

    0 is perfect, 2 certain and always wrong, 1 - 1 / n_scenes a blind guess. This is the original definition of Brier
    1950, "Verification of Forecasts Expressed in Terms of Probability"; with two scenes it is twice the figure that
    some call by this name.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    return float(row_brier_scores(truth, probabilities).mean())


def row_brier_scores(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """(n,) squared distance of each row's probabilities from 1 for its true scene and 0 for the others.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    given = probabilities[np.arange(len(truth)), truth]
    distances: FloatArray = (probabilities**2).sum(axis=1) - 2 * given + 1
    return np.maximum(distances, 0)  # what is exact is not negative


def class_log_loss(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """(n_scenes,) log loss over the rows of each true scene; its mean ranks systems in DCASE 2021 task 1B.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    return _mean_by_class(truth, _losses(truth, probabilities), probabilities.shape[1])


def class_accuracy(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """(n_scenes,) accuracy over the rows of each true scene, also called recall.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    hits = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    return _mean_by_class(truth, hits, probabilities.shape[1])


def confusion(truth: IntArray, probabilities: FloatArray) -> npt.NDArray[np.intp]:
    """(n_scenes, n_scenes) counts: row = true scene, column = answer.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    classes = probabilities.shape[1]
    pairs = truth * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Mean `confidence`, `accuracy` and `count` of every bin, each (bins,)."""

    confidence: FloatArray
    accuracy: FloatArray
    count: IntArray


def reliability(truth: IntArray, probabilities: FloatArray, bins: int = BINS) -> Reliability:
    """Accuracy against confidence (the probability of the answer) in bins of about equal count.

    Equal confidences always share a bin (the one of their middle rank), so that the order of the rows cannot
    matter; empty bins are left out, so there may be fewer than `bins`. Equal-mass bins after Nixon et al.
    2019, "Measuring Calibration in Deep Learning"; the diagram after Guo et al. 2017, "On Calibration of
    Modern Neural Networks".

    Raises:
        ValueError: the arrays are malformed or empty, or `bins` is not positive.
    """
    truth, probabilities = validate(truth, probabilities)
    if bins < 1:
        raise ValueError(f"bins must be positive, got {bins}")
    confidence = probabilities.max(axis=1)
    hits = probabilities.argmax(axis=1) == truth
    _, value, repeats = np.unique(confidence.round(TIE_DECIMALS), return_inverse=True, return_counts=True)
    middle = np.cumsum(repeats) - repeats / 2
    place = np.minimum((middle * bins / len(truth)).astype(np.intp), bins - 1)[value]
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    return Reliability(
        confidence=np.bincount(place, weights=confidence, minlength=bins)[filled] / count[filled],
        accuracy=np.bincount(place, weights=hits, minlength=bins)[filled] / count[filled],
        count=count[filled],
    )


def expected_calibration_error(truth: IntArray, probabilities: FloatArray, bins: int = BINS) -> float:
    """Mean distance of accuracy from confidence over the bins of `reliability`, weighted by count.

    Guo et al. 2017 with the equal-mass bins of Nixon et al. 2019 (there: adaptive calibration error of the
    answer).

    Raises:
        ValueError: the arrays are malformed or empty, or `bins` is not positive.
    """
    found = reliability(truth, probabilities, bins)
    return float(np.average(np.abs(found.confidence - found.accuracy), weights=found.count))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one table over `n` rows; `risk_coverage_area` is that of `RiskCoverage`.

    `per_class` gives for every scene its `n`, `precision`, `recall`, `f1` and `log_loss`, NaN where
    undefined: no such row (recall, log loss), never answered (precision), or both (F1).
    """

    n: int
    log_loss: float
    log_loss_class_mean: float
    accuracy: float
    accuracy_class_mean: float
    expected_calibration_error: float
    brier_score: float
    risk_coverage_area: float
    per_class: Mapping[str, Mapping[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as plain values fit for JSON, which has no NaN: None stands for it."""
        plain = asdict(self)
        plain["per_class"] = {
            scene: {key: None if math.isnan(value) else value for key, value in figures.items()}
            for scene, figures in self.per_class.items()
        }
        return plain


def evaluate(table: ScoreTable) -> Evaluation:
    """Every figure of `table`, which must hold the truth.

    Raises:
        DataError: the table has no truth.
    """
    truth, probabilities = table.truth_index, table.probabilities
    return Evaluation(
        n=len(table),
        log_loss=log_loss(truth, probabilities),
        log_loss_class_mean=float(np.nanmean(class_log_loss(truth, probabilities))),
        accuracy=accuracy(truth, probabilities),
        accuracy_class_mean=float(np.nanmean(class_accuracy(truth, probabilities))),
        expected_calibration_error=expected_calibration_error(truth, probabilities),
        brier_score=brier_score(truth, probabilities),
        risk_coverage_area=risk_coverage(truth, probabilities).area,
        per_class=_per_class(table),
    )


def _per_class(table: ScoreTable) -> dict[str, dict[str, float]]:
    counts = confusion(table.truth_index, table.probabilities)
    losses = class_log_loss(table.truth_index, table.probabilities)
    rows, answers, hits = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    return {
        scene: {
            "n": int(rows[index]),
            "precision": _ratio(hits[index], answers[index]),
            "recall": _ratio(hits[index], rows[index]),
            "f1": _ratio(2 * hits[index], rows[index] + answers[index]),
            "log_loss": float(losses[index]),
        }
        for index, scene in enumerate(table.labels)
    }


def _ratio(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan
