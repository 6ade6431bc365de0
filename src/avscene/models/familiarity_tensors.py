"""Keep the familiarity detector of a model among its tensors in a checkpoint."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from avscene.errors import CheckpointError
from avscene.familiarity.detector import FamiliarityDetector
from avscene.records import FloatArray

_PREFIX = "familiarity."  # before the names of tensors


def familiarity_tensors(detector: FamiliarityDetector) -> dict[str, Tensor]:
    """Return the tensors of a detector for a checkpoint."""
    return {f"{_PREFIX}{name}": torch.from_numpy(values) for name, values in detector.arrays().items()}


def without_familiarity(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the model itself."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(_PREFIX)}


def familiarity_detector(
    model: str, tensors: Mapping[str, Tensor], size: int, n_scenes: int
) -> FamiliarityDetector | None:
    """Return the detector among the tensors of a model, for embeddings of length `size`.

    None if there is none: the checkpoint is of an earlier version, or the training had too few groups.

    Raises:
        CheckpointError: its tensors do not fit.
    """
    arrays = {name.removeprefix(_PREFIX): tensors[name].numpy() for name in tensors if name.startswith(_PREFIX)}
    try:
        return FamiliarityDetector.from_arrays(arrays, size, n_scenes) if arrays else None
    except ValueError as error:
        raise CheckpointError(f"model {model!r}: {error}") from error


def joined(arrays: Sequence[FloatArray]) -> FloatArray:
    """Join embeddings (n, size) of several encoders to (n, sum of sizes); rows that are NaN in any array are NaN."""
    values = np.concatenate(arrays, axis=1)
    values[~np.isfinite(values).all(axis=1)] = np.nan
    return values
