"""Combine how familiar a segment is to several models."""

from collections.abc import Sequence

import numpy as np
import scipy

from avscene.records import FloatArray, Needs


def combine_shares(shares: FloatArray, needs: Sequence[Needs]) -> FloatArray:
    """Return one share (n,) of the shares (n_models, n) of models by their modalities `needs`; NaN ones are left out.

    Models of one modality measure the same input, and count as one: their geometric mean is taken (Vovk & Wang 2020,
    "Combining p-values via averaging"). The modalities are combined by Fisher's method: the sum of the logarithms is
    compared with that of as many independent uniform numbers (Fisher 1925). A share near 0 in one modality is enough
    for one near 0. Where all are NaN, nothing speaks against it: 1.
    """
    kinds = np.array(needs)
    logs = np.stack([_mean_log(shares[kinds == kind]) for kind in dict.fromkeys(needs)])
    present = (~np.isnan(logs)).sum(axis=0)
    total = -np.nansum(logs, axis=0)
    return np.asarray(np.where(present > 0, scipy.special.gammaincc(np.maximum(present, 1), total), 1.0))


def _mean_log(shares: FloatArray) -> FloatArray:
    """Return the mean logarithm (n,) of the shares (n_models, n); NaN if all are NaN."""
    present = (~np.isnan(shares)).sum(axis=0)
    total = np.nansum(np.log(shares), axis=0)
    return np.asarray(np.where(present > 0, total / np.maximum(present, 1), np.nan))
