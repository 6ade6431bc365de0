"""Combine how familiar a segment is to several models."""

import numpy as np
import scipy

from avscene.records import FloatArray


def combine_shares(shares: FloatArray) -> FloatArray:
    """Return one share (n,) of the shares (n_models, n) of models by Fisher's method; NaN ones are left out.

    The sum of their logarithms is compared with that of as many independent uniform numbers (Fisher 1925). A share near
    0 in one of the models is enough for one near 0. Where all are NaN, nothing speaks against it: 1.
    """
    present = (~np.isnan(shares)).sum(axis=0)
    logs = -np.nansum(np.log(shares), axis=0)
    return np.asarray(np.where(present > 0, scipy.special.gammaincc(np.maximum(present, 1), logs), 1.0))
