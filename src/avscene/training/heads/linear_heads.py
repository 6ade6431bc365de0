"""Fit linear heads on embeddings, with out-of-fold probabilities to fit a fusion on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from avscene.evaluation.metrics import log_loss
from avscene.fusion.pooling import group_weights
from avscene.fusion.postprocess import fit_power
from avscene.groups import assign_folds
from avscene.models.linear_heads import LinearHead
from avscene.records import BoolArray, FloatArray, IntArray

N_FOLDS = 4
# Ridge on the weights of standardised embeddings scaled to unit norm; that of least out-of-fold log loss is chosen.
RIDGES = (1e-4, 3e-5, 1e-5, 3e-6)
_MAX_STEPS = 40  # of L-BFGS for each ridge, which starts from the solution of the stronger ridge before it


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head trained on all rows, and `out_of_fold` probabilities (n, n_scenes) by heads trained without a row's group.

    `temperature` was fitted on the latter and is applied to both.
    """

    head: LinearHead
    out_of_fold: FloatArray
    ridge: float
    temperature: float


def fit_head(
    embeddings: FloatArray,
    truth: IntArray,
    groups: Sequence[str],
    n_scenes: int,
    augmented: FloatArray | None = None,
) -> FittedHead:
    """Fit a calibrated head on `embeddings` (n, size), NaN rows left out; `truth` (n,) are scene indices.

    Heads are trained on the embeddings and on those of the same rows `augmented` (n, size), if given, and evaluated on
    the former.

    The ridge is chosen and the temperature fitted on out-of-fold probabilities, with folds of whole groups. Every group
    has equal weight in the temperature, whose prior keeps it near 1 if groups are few.
    """
    present = ~np.isnan(embeddings[:, 0])
    folds = np.array(assign_folds(groups, [str(scene) for scene in truth], N_FOLDS))
    candidates = np.full((len(RIDGES), len(truth), n_scenes), np.nan)
    for fold in range(N_FOLDS):
        train, test = present & (folds != fold), present & (folds == fold)
        if not train.any() or not test.any():
            continue
        for index, head in enumerate(_trained(embeddings, augmented, truth, train, n_scenes)):
            candidates[index, test] = head.probabilities(embeddings[test])
    scored = ~np.isnan(candidates[0, :, 0])
    losses = [log_loss(truth[scored], candidate[scored]) for candidate in candidates]
    best = int(np.argmin(losses))
    weights = group_weights([group for group, has in zip(groups, scored, strict=True) if has])
    exponent = fit_power(candidates[best][scored], truth[scored], weights)
    final = _trained(embeddings, augmented, truth, present, n_scenes)[best]
    calibrated = LinearHead(final.weight * exponent, final.bias * exponent)
    sharpened = candidates[best] ** exponent
    out_of_fold = sharpened / sharpened.sum(axis=1, keepdims=True)
    return FittedHead(calibrated, out_of_fold, RIDGES[best], 1 / exponent)


def _trained(
    embeddings: FloatArray, augmented: FloatArray | None, truth: IntArray, rows: BoolArray, n_scenes: int
) -> list[LinearHead]:
    """Fit a head for each of RIDGES on `rows` (n,) of the embeddings and of the augmented ones."""
    copies = [embeddings[rows]] if augmented is None else [embeddings[rows], augmented[rows]]
    return ridge_path(np.concatenate(copies), np.tile(truth[rows], len(copies)), n_scenes)


def ridge_path(embeddings: FloatArray, truth: IntArray, n_scenes: int) -> list[LinearHead]:
    """Fit a head for each of RIDGES on `embeddings` (n, size) without NaN; `truth` (n,) are scene indices."""
    mean, scale = embeddings.mean(0), np.sqrt(embeddings.shape[1]) * feature_scale(embeddings)
    inputs = torch.from_numpy((embeddings - mean) / scale).float()
    targets = torch.from_numpy(truth)
    weight = torch.zeros(inputs.shape[1], n_scenes, requires_grad=True)
    bias = torch.zeros(n_scenes, requires_grad=True)
    heads = []
    for ridge in RIDGES:
        _minimise(inputs, targets, weight, bias, ridge)
        unscaled = weight.detach().double().numpy() / scale[:, None]
        heads.append(LinearHead(unscaled, bias.detach().double().numpy() - mean @ unscaled))
    return heads


def feature_scale(embeddings: FloatArray) -> FloatArray:
    """Return the divisors (size,) that standardise `embeddings` (n, size).

    They are at least a tenth of their median, so that nearly constant channels are not amplified to noise.
    """
    deviation = embeddings.std(0)
    return np.asarray(np.maximum(deviation, 0.1 * np.median(deviation) + 1e-12))


def _minimise(
    inputs: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, ridge: float
) -> None:
    """Minimise cross-entropy plus ridge by L-BFGS, in place."""
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=_MAX_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(inputs @ weight + bias, targets) + ridge * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
