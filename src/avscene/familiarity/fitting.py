"""Fit a familiarity detector on the embeddings of training, with the distances of rows whose groups were left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from avscene.familiarity.detector import FamiliarityDetector
from avscene.groups import assign_folds
from avscene.records import FloatArray, IntArray

N_FOLDS = 4
N_COMPONENTS = 64
SHRINKAGE = 0.1  # of covariances towards a multiple of the identity
# Of the distance to all rows, this is subtracted. Ren et al. subtract all of it, so that something far away in a
# direction in which scenes do not differ stays near.
BACKGROUND = 0.9
MAX_ROWS = 20_000  # that covariances are estimated on; more improve nothing
_N_SHARES = 60  # of the distribution of distances that are kept
# Beyond the furthest validation row, the share falls by a factor of e per so many mean excesses over _TAIL, to
# 1 / _DEPTH of the least: more slowly than it does in a network of few groups, so that few familiar rows are marked.
_TAIL, _EXCESSES, _DEPTH = 0.1, 4.0, 100.0


@dataclass(frozen=True, slots=True, eq=False)
class FittedFamiliarity:
    """A detector fitted on all rows, and `out_of_fold` shares (n,) of rows whose groups were left out in fitting."""

    detector: FamiliarityDetector
    out_of_fold: FloatArray


def fit_familiarity(
    embeddings: FloatArray, truth: IntArray, groups: Sequence[str], n_scenes: int
) -> FittedFamiliarity | None:
    """Fit a detector on `embeddings` (n, size), NaN rows left out; `truth` (n,) are scene indices.

    The distances of its own rows would be too small: those that are kept are of rows whose groups were left out, in
    N_FOLDS folds. None if that leaves too little of a scene.
    """
    rows = np.flatnonzero(~np.isnan(embeddings[:, 0])).tolist()
    known, scenes, names = embeddings[rows], truth[rows], [groups[row] for row in rows]
    folds = np.array(assign_folds(names, [str(scene) for scene in scenes], N_FOLDS))
    distances = np.full(len(rows), np.nan)
    for fold in range(N_FOLDS):
        train, test = folds != fold, folds == fold
        if test.any() and len(np.unique(scenes[train])) == n_scenes:
            distances[test] = _fit(known[train], scenes[train], n_scenes).distance(known[test])
    measured = np.flatnonzero(~np.isnan(distances)).tolist()
    if not measured:
        return None
    detector = _fit(known, scenes, n_scenes, distances[measured], [names[row] for row in measured])
    shares = np.full(len(truth), np.nan)
    shares[rows] = detector.share_of(distances)
    return FittedFamiliarity(detector, shares)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledEmbeddings:
    """Embeddings (n, size), with the scene index (n,) and the group of each row."""

    embeddings: FloatArray
    truth: IntArray
    groups: Sequence[str]

    def present(self) -> "LabelledEmbeddings":
        """Return the rows that are not NaN."""
        rows = np.flatnonzero(~np.isnan(self.embeddings[:, 0])).tolist()
        return LabelledEmbeddings(self.embeddings[rows], self.truth[rows], [self.groups[row] for row in rows])

    def has_scenes(self, n_scenes: int) -> bool:
        """Whether there are rows of all scenes."""
        return len(np.unique(self.truth)) == n_scenes


def fit_on_validation(
    training: LabelledEmbeddings, validation: LabelledEmbeddings, n_scenes: int, final: LabelledEmbeddings | None = None
) -> FamiliarityDetector | None:
    """Fit a detector on `training`, with the distances of `validation`, for an encoder that was trained on `training`.

    NaN rows are left out.

    Such an encoder separates the rows that it was trained on more than others, so only others show which distances are
    usual. If the encoder that is kept was trained on all rows, `final` are their embeddings by it, and the detector is
    fitted on them; the distances are still those of the encoder that was not trained on `validation`. As its groups are
    few, shares of distances beyond them are extrapolated.

    None if rows of a scene or all validation rows are missing.
    """
    training, validation = training.present(), validation.present()
    kept = training if final is None else final.present()
    if not training.has_scenes(n_scenes) or not kept.has_scenes(n_scenes) or not len(validation.truth):
        return None
    fitted = _fit(training.embeddings, training.truth, n_scenes)
    distances, shares = _extended(*_distribution(fitted.distance(validation.embeddings), validation.groups))
    if final is not None:
        fitted = _fit(kept.embeddings, kept.truth, n_scenes)
    return replace(fitted, distances=distances, shares=shares)


def _fit(
    embeddings: FloatArray,
    truth: IntArray,
    n_scenes: int,
    held_out: FloatArray | None = None,
    groups: Sequence[str] = (),
) -> FamiliarityDetector:
    """Fit the distance, with the `held_out` distances of rows of `groups`."""
    few = np.unique(np.linspace(0, len(truth) - 1, MAX_ROWS).astype(int))
    embeddings, truth = embeddings[few].astype(np.float64), truth[few]
    mean, deviation = embeddings.mean(axis=0), embeddings.std(axis=0)
    # Nearly constant channels would be amplified to noise.
    scale = np.maximum(deviation, 0.1 * np.median(deviation) + 1e-12)
    components = _principal_components((embeddings - mean) / scale)
    projection = components / scale[:, None]
    projected = (embeddings - mean) @ projection
    means = np.stack([projected[truth == scene].mean(axis=0) for scene in range(n_scenes)])
    within = _whitening(projected - means[truth])
    empty = np.zeros(0)
    distances, shares = (empty, empty) if held_out is None else _distribution(held_out, groups)
    return FamiliarityDetector(
        projection,
        mean @ projection,
        within,
        np.sqrt(BACKGROUND) * _whitening(projected),
        means @ within,
        distances,
        shares,
    )


def _principal_components(values: FloatArray) -> FloatArray:
    """Return the first components (size, k) of `values` (n, size), whose columns have mean 0."""
    n_rows, size = values.shape
    k = min(N_COMPONENTS, n_rows - 1, size)
    if n_rows >= size:
        return np.asarray(np.linalg.eigh(values.T @ values)[1][:, : -k - 1 : -1])
    powers, vectors = np.linalg.eigh(values @ values.T)
    chosen = powers[: -k - 1 : -1] > 1e-9 * powers[-1]
    left = vectors[:, : -k - 1 : -1][:, chosen]
    return np.asarray(values.T @ left / np.sqrt(powers[: -k - 1 : -1][chosen]))


def _whitening(deviations: FloatArray) -> FloatArray:
    """Return w (k, k) such that the squared norm of x w is the squared Mahalanobis distance of x from 0."""
    covariance = deviations.T @ deviations / max(len(deviations) - 1, 1)
    k = len(covariance)
    shrunk = (1 - SHRINKAGE) * covariance + (SHRINKAGE * np.trace(covariance) / k + 1e-12) * np.eye(k)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(shrunk)))


def _distribution(distances: FloatArray, groups: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Return distances (m,), ascending, and the share (m,) of rows that lie at least as far; groups weigh the same."""
    _, group, counts = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    order = np.argsort(distances)
    weights = 1 / counts[group][order]
    at_least = weights[::-1].cumsum()[::-1] / len(counts)
    least = 1 / (len(counts) + 1)
    wanted = np.concatenate([np.geomspace(least, 0.1, _N_SHARES // 2), np.linspace(0.1, 1, _N_SHARES // 2)])
    shares = np.unique(wanted[wanted >= least])[::-1]
    return np.interp(shares, at_least[::-1], distances[order][::-1]), shares


def _extended(distances: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Extend a distribution by an exponential tail (Pickands 1975), unless it is of too few groups to have a tail."""
    in_tail = shares <= _TAIL * (1 + 1e-9)
    excess = float(scipy.integrate.trapezoid(shares[in_tail], distances[in_tail])) / _TAIL
    if excess <= 0:
        return distances, shares
    factors = np.geomspace(1, 1 / _DEPTH, _N_SHARES // 2)[1:]
    beyond = distances[-1] - _EXCESSES * excess * np.log(factors)
    return np.concatenate([distances, beyond]), np.concatenate([shares, shares[-1] * factors])
