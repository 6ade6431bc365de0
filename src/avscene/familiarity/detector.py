"""Measure how far embeddings lie from the scenes of training, and how rare that distance is in these scenes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from avscene.records import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class FamiliarityDetector:
    """Relative Mahalanobis distance (Ren et al. 2021), and the distances of held-out rows of training.

    Embeddings are projected to k principal components. The distance is the squared Mahalanobis distance to the nearest
    scene (Lee et al. 2018: one covariance within all scenes) minus a share of that to all rows together: deviations
    in which scenes do not differ count less.

    Attributes:
        projection: (size, k).
        offset: (k,) the projected mean of all rows, which is subtracted.
        within: (k, k) whitens the deviations from the means of the scenes.
        total: (k, k) whitens the projections, times the root of the share that is subtracted.
        means: (n_scenes, k) mean of each scene, projected and whitened by `within`.
        distances: (n,) distances of held-out rows, ascending.
        shares: (n,) share of the held-out rows, all groups with equal weight, that lie at least as far.
    """

    projection: FloatArray
    offset: FloatArray
    within: FloatArray
    total: FloatArray
    means: FloatArray
    distances: FloatArray
    shares: FloatArray

    def score(self, embeddings: FloatArray) -> FloatArray:
        """Return the share (n,) of held-out rows that lie at least as far as each of `embeddings` (n, size).

        In scenes of training it is uniform in [0, 1], and small elsewhere. Of G held-out groups none shows one below
        1 / (G + 1): it is at least that, or extrapolated (`fit_on_validation`). NaN rows stay NaN.
        """
        return self.share_of(self.distance(embeddings))

    def share_of(self, distances: FloatArray) -> FloatArray:
        """Return the share (n,) of held-out rows that lie at least as far as `distances` (n,); NaN for NaN."""
        return np.asarray(np.where(np.isnan(distances), np.nan, np.interp(distances, self.distances, self.shares)))

    def distance(self, embeddings: FloatArray) -> FloatArray:
        """Return the relative distance (n,) of `embeddings` (n, size)."""
        projected = embeddings.astype(np.float64) @ self.projection.astype(np.float64) - self.offset
        whitened = projected @ self.within
        nearest = np.min([((whitened - mean) ** 2).sum(axis=1) for mean in self.means], axis=0)
        return np.asarray(nearest - ((projected @ self.total) ** 2).sum(axis=1))

    def arrays(self) -> dict[str, FloatArray]:
        """Return the attributes by name, for a checkpoint; the projection, the largest, in half precision."""
        arrays = {field.name: np.asarray(getattr(self, field.name), np.float32) for field in fields(self)}
        return {**arrays, "projection": arrays["projection"].astype(np.float16)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray], size: int, n_scenes: int) -> "FamiliarityDetector":
        """Return the detector with these attributes, for embeddings of length `size`.

        Raises:
            ValueError: one is missing or their shapes do not fit.
        """
        if sorted(arrays) != sorted(field.name for field in fields(cls)):
            raise ValueError(f"attributes {', '.join(sorted(arrays))} are not those of a familiarity detector")
        k, n = (arrays[name].shape[-1] if arrays[name].ndim else 0 for name in ("projection", "distances"))
        shapes = {
            "projection": (size, k),
            "offset": (k,),
            "within": (k, k),
            "total": (k, k),
            "means": (n_scenes, k),
            "distances": (n,),
            "shares": (n,),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} is not a finite array of shape {shape}")
        return cls(**{name: values.astype(np.float64) for name, values in arrays.items()})
