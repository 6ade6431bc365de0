"""Rules that fuse the probabilities of several models, and the fitting of their weights.

Conventions: `scores` is (n_models, n, n_scenes), each row of probabilities summing to 1; a row of NaN says that the
model did not score it. Every rule drops the missing models of a row and renormalises the rest; where all are missing
the row stays NaN. `truth` is (n,) scene indices. Weights are fitted on rows that no model was trained on.
"""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import optimize

from avscene.records import FloatArray, IntArray, Needs

# Log-probabilities are taken of values no smaller than this, so that one model's zero cannot veto all the others.
FLOOR = 1e-6
SPREAD = 0.5  # standard deviation of the factor by which a modality counts more or less than in full, before any row
Confidence = Literal["precision", "recall", "f1"]


def mean(scores: FloatArray) -> FloatArray:
    """p_c ~ sum_m p_mc: the linear opinion pool with equal weights (Kittler et al. 1998, sum rule)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of a row that nobody scored is NaN, as it should be
        return normalised(np.nanmean(scores, axis=0))


def product(scores: FloatArray) -> FloatArray:
    """p_c ~ prod_m p_mc (Kittler et al. 1998, product rule with equal priors)."""
    return log_pool(scores, np.ones(len(scores)))


def classwise(scores: FloatArray, weights: FloatArray) -> FloatArray:
    """p_c ~ sum_m w_mc p_mc with one confidence (n_models, n_scenes) per model and class: the seed's rule.

    The seed says "class-wise confidences" and no more; that they are precisions is our reconstruction. A model that is
    alone in a row answers as it is.
    """
    return normalised(_sum(scores * _in_company(weights[:, None, :], scores), scores))


def samplewise(scores: FloatArray) -> FloatArray:
    """p_c ~ sum_m max_k(p_mk) p_mc: each model counts by its confidence in the row at hand.

    The other reading of the seed's "class-wise confidences"; it needs no fitting.
    """
    return normalised(_sum(scores * scores.max(axis=2, keepdims=True), scores))


def log_pool(scores: FloatArray, exponents: FloatArray) -> FloatArray:
    """p_c ~ prod_m p_mc^a_m with a_m >= 0: the log-linear opinion pool (Genest & Zidek 1986). Ours for this task.

    Independent evidence multiplies. A model that is alone in a row answers as it is: exponents are fitted for company.
    """
    logs = np.log(np.maximum(scores, FLOOR))
    return softmax(_sum(_in_company(exponents[:, None, None], scores) * logs, scores))


def fit_classwise(scores: FloatArray, truth: IntArray, confidence: Confidence = "precision") -> FloatArray:
    """Confidence (n_models, n_scenes) in each model for each scene, over the rows that it scored.

    `precision` is P(truth is c | the model says c), `recall` P(the model says c | truth is c) and `f1` their harmonic
    mean. Laplace smoothing with one pseudo-row at chance keeps a scene that a model never names from weight 0.
    """
    n_models, _, n_scenes = scores.shape
    weights = np.empty((n_models, n_scenes))
    for model, probabilities in enumerate(scores):
        present = ~np.isnan(probabilities[:, 0])
        said, known = probabilities[present].argmax(axis=1), truth[present]
        hits = np.bincount(said[said == known], minlength=n_scenes)
        answers, rows = np.bincount(said, minlength=n_scenes), np.bincount(known, minlength=n_scenes)
        of = {"precision": answers, "recall": rows, "f1": (answers + rows) / 2}[confidence]
        weights[model] = (hits + 1 / n_scenes) / (of + 1)
    return weights


def fit_log_pool(
    scores: FloatArray, truth: IntArray, weights: FloatArray | None = None, needs: Sequence[Needs] | None = None
) -> FloatArray:
    """Exponents (n_models,) >= 0 of greatest posterior over the rows that every model scored; a convex problem.

    `weights` (n,) say how much each row counts, `needs` what each model hears or sees; without, all the same. A prior
    matters where rows are few: were they all told right, the least log loss alone would be certainty without end. Sound
    and picture are all but independent evidence of a scene, so each is expected to count in full, once: the models of a
    modality claim together what the one of them that claims most does alone, up to a factor of deviation SPREAD. How
    they share it is left to the rows; to double a model, or to add one that claims nothing, changes nothing. Equal
    exponents that sum to 1 where there is no row.
    """
    n_models, _, n_scenes = scores.shape
    start = np.full(n_models, 1 / n_models)
    complete = ~np.isnan(scores).any(axis=(0, 2))
    if not complete.any():
        return start
    known = truth[complete]
    weights = np.ones(len(known)) if weights is None else weights[complete]
    share, precision = weights / weights.sum(), 1 / (SPREAD**2 * weights.sum())
    logs = np.log(np.maximum(scores[:, complete], FLOOR))
    claims = _claims(logs, share, needs)
    logs = logs.reshape(n_models, -1)
    rows = np.arange(len(known))

    def loss(exponents: FloatArray) -> tuple[float, FloatArray]:
        pooled = softmax((exponents @ logs).reshape(-1, n_scenes))
        excess = claims @ exponents - 1
        value = -share @ np.log(np.maximum(pooled[rows, known], 1e-300)) + precision * excess @ excess / 2
        pooled[rows, known] -= 1
        return float(value), logs @ (share[:, None] * pooled).ravel() + precision * excess @ claims

    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * n_models)
    return np.asarray(found.x)


def _claims(logs: FloatArray, share: FloatArray, needs: Sequence[Needs] | None) -> FloatArray:
    """(1 or 2, n_models) for each modality what its models claim: 1 the one that claims most, 0 one of the other.

    A model claims the more, the further its logarithms (n_models, n, n_scenes) are from their mean over scenes.
    """
    claims = np.sqrt(logs.var(axis=2) @ share)
    needs = ["both"] * len(claims) if needs is None else needs
    parts = {tuple(need in (modality, "both") for need in needs) for modality in ("audio", "video")}
    return np.stack([part * claims / max((part * claims).max(), FLOOR) for part in map(np.array, parts) if part.any()])


def group_weights(groups: Sequence[str]) -> FloatArray:
    """(n,) how much each row counts where every group counts alike: one over the rows of its group."""
    _, group, count = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    return np.asarray(1 / count[group])


def shares(weights: FloatArray | None, n_rows: int) -> FloatArray:
    """(n_rows,) the weights of a mean; without `weights` that of all rows alike."""
    return np.full(n_rows, 1 / n_rows) if weights is None else np.asarray(weights / weights.sum())


def normalised(values: FloatArray) -> FloatArray:
    """Rows (n, n_scenes) scaled to sum to 1."""
    return np.asarray(values / values.sum(axis=1, keepdims=True))


def softmax(logits: FloatArray) -> FloatArray:
    """Rows (n, n_scenes) of probabilities; NaN rows stay NaN."""
    return normalised(np.exp(logits - logits.max(axis=1, keepdims=True)))


def _in_company(weights: FloatArray, scores: FloatArray) -> FloatArray:
    """The weights of models, made 1 in the rows where only one model scored."""
    alone = (~np.isnan(scores[:, :, :1])).sum(axis=0) == 1
    return np.where(alone[None], 1.0, weights)


def _sum(values: FloatArray, scores: FloatArray) -> FloatArray:
    """Sum over the models that scored a row; NaN where none did."""
    total = np.nansum(values, axis=0)
    total[np.isnan(scores).all(axis=(0, 2))] = np.nan
    return np.asarray(total)
