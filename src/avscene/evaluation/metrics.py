"""Compute metrics of scene probabilities against the true scenes, one by one or all of a table.

Conventions, the same in every function:

- `truth` (n,) are integer columns of the true scenes; `probabilities` (n, n_scenes) have rows that sum to 1, up to
  the rounding of a text; n >= 1.
- The predicted scene of a row is the one of largest probability; of ties, the first in the order of the scenes.
- Logarithms are natural. Probabilities are clipped to [EPSILON, 1 - EPSILON] and rows not renormalised
  afterwards, as in scikit-learn's `log_loss`: a true scene of probability 0 costs 34.5.
- Metrics of a scene without rows are NaN; macro averages (means over scenes) leave those out.
- Malformed input raises ValueError, which names the problem.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from avscene.evaluation.arguments import validate
from avscene.evaluation.calibration import CalibrationGaps
from avscene.evaluation.risk import risk_coverage
from avscene.records import FloatArray, IntArray
from avscene.tables.score_table import ScoreTable

EPSILON = 1e-15
METRIC_NAMES = {  # attribute of TableMetrics: what reports call it
    "log_loss": "Log loss",
    "accuracy": "Accuracy",
    "log_loss_macro": "Log loss, macro average",
    "accuracy_macro": "Accuracy, macro average",
    "ece": "Expected calibration error (ECE)",
    "brier_score": "Brier score",
    "aurc": "AURC",
}
ACCURACIES = ("accuracy", "accuracy_macro")  # the metrics of tables without probabilities


def _losses(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """(n,) log loss of every row."""
    of_truth = probabilities[np.arange(len(truth)), truth]
    losses: FloatArray = -np.log(np.clip(of_truth, EPSILON, 1 - EPSILON))
    return losses


def _mean_by_class(truth: IntArray, values: FloatArray, n_scenes: int) -> FloatArray:
    """(n_scenes,) mean of `values` (n,) over the rows of each true scene; NaN for scenes without rows."""
    counts = np.bincount(truth, minlength=n_scenes)
    sums = np.bincount(truth, weights=values, minlength=n_scenes)
    means: FloatArray = np.divide(sums, counts, out=np.full(n_scenes, np.nan), where=counts > 0)
    return means


def row_log_losses(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """Return -ln p of the true scene of each row (n,).

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    return _losses(*validate(truth, probabilities))


def log_loss(truth: IntArray, probabilities: FloatArray) -> float:
    """Return the mean of -ln p of the true scene: 0 is perfect, ln(n_scenes) is the uniform distribution.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    return float(_losses(*validate(truth, probabilities)).mean())


def accuracy(truth: IntArray, probabilities: FloatArray) -> float:
    """Return the share of the rows whose predicted scene is the true scene.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    return float((probabilities.argmax(axis=1) == truth).mean())


def brier_score(truth: IntArray, probabilities: FloatArray) -> float:
    """Return the squared distance of the probabilities from the truth, summed over scenes and averaged over rows.

    0 is perfect, 2 is certain and always wrong, 1 - 1 / n_scenes is the uniform distribution. This is the original
    definition of Brier 1950, "Verification of Forecasts Expressed in Terms of Probability"; with two scenes it is twice
    the one-column definition.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    return float(row_brier_scores(truth, probabilities).mean())


def row_brier_scores(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """Return the squared distance (n,) of each row's probabilities from 1 for its true scene and 0 for the others.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    of_truth = probabilities[np.arange(len(truth)), truth]
    distances: FloatArray = (probabilities**2).sum(axis=1) - 2 * of_truth + 1
    return np.maximum(distances, 0)  # float errors may make a distance negative


def class_log_loss(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """Return the log loss (n_scenes,) over the rows of each true scene; its mean ranks systems in DCASE 2021 task 1B.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    return _mean_by_class(truth, _losses(truth, probabilities), probabilities.shape[1])


def class_accuracy(truth: IntArray, probabilities: FloatArray) -> FloatArray:
    """Return the accuracy (n_scenes,) over the rows of each true scene, also called recall.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    hits = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    return _mean_by_class(truth, hits, probabilities.shape[1])


def confusion(truth: IntArray, probabilities: FloatArray) -> npt.NDArray[np.intp]:
    """Return the confusion matrix (n_scenes, n_scenes): row = true scene, column = predicted scene.

    Raises:
        ValueError: the arrays are malformed or empty.
    """
    truth, probabilities = validate(truth, probabilities)
    n_scenes = probabilities.shape[1]
    pairs = truth * n_scenes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=n_scenes**2).reshape(n_scenes, n_scenes)


@dataclass(frozen=True, slots=True)
class TableMetrics:
    """Metrics of one table over `n` rows; `..._macro` are averages over scenes, `ece` and `aurc` the ECE and AURC.

    `ece` is without the bias of few groups (`CalibrationGaps`). Of a table without probabilities, only the accuracies
    and what follows from the confusion matrix are known; the others are NaN.

    `per_class` has for every scene its `n`, `precision`, `recall`, `f1` and `log_loss`, NaN if undefined: a scene
    without rows (recall, log loss), never predicted (precision), or both (F1).
    """

    n: int
    log_loss: float
    log_loss_macro: float
    accuracy: float
    accuracy_macro: float
    ece: float
    brier_score: float
    aurc: float
    per_class: Mapping[str, Mapping[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics as plain values for JSON, with None instead of NaN."""
        plain: dict[str, Any] = none_for_nan(asdict(self))
        return plain


def none_for_nan(value: Any) -> Any:
    """Return plain values with None instead of NaN, in mappings at any depth."""
    if isinstance(value, Mapping):
        return {key: none_for_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def compute_metrics(table: ScoreTable) -> TableMetrics:
    """Compute every metric of `table`, which must have true scenes.

    Raises:
        DataError: the table has no truth.
    """
    truth, probabilities = table.truth_index, table.probabilities
    found = {
        "log_loss": log_loss(truth, probabilities),
        "log_loss_macro": float(np.nanmean(class_log_loss(truth, probabilities))),
        "accuracy": accuracy(truth, probabilities),
        "accuracy_macro": float(np.nanmean(class_accuracy(truth, probabilities))),
        "ece": CalibrationGaps.of(truth, probabilities, table.groups).corrected_error(),
        "brier_score": brier_score(truth, probabilities),
        "aurc": risk_coverage(truth, probabilities).area,
    }
    if table.labels_only:
        found = {name: value if name in ACCURACIES else math.nan for name, value in found.items()}
    return TableMetrics(n=len(table), per_class=_per_class(table), **found)


def _per_class(table: ScoreTable) -> dict[str, dict[str, float]]:
    counts = confusion(table.truth_index, table.probabilities)
    losses = class_log_loss(table.truth_index, table.probabilities)
    rows, predicted, hits = counts.sum(axis=1), counts.sum(axis=0), counts.diagonal()
    return {
        scene: {
            "n": int(rows[index]),
            "precision": _fraction(hits[index], predicted[index]),
            "recall": _fraction(hits[index], rows[index]),
            "f1": _fraction(2 * hits[index], rows[index] + predicted[index]),
            "log_loss": math.nan if table.labels_only else float(losses[index]),
        }
        for index, scene in enumerate(table.labels)
    }


def _fraction(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan
