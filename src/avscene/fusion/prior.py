"""Weigh the prior of fitted exponents and biases, which shrinks them towards values that change no probability.

A value v is expected to be normally distributed around its mean: 1 for exponents, 0 for biases. Fits minimise the
negative logarithm of the posterior, divided by the total weight W of the rows; beside the mean log loss, the prior is

    precision / 2 * (v - mean)^2    with    precision = 1 / (deviation^2 W)

If every group weighs 1 (`group_weights`), W is the number of groups: the fewer groups, the stronger the prior. Without
it, exponents of groups that were all classified correctly would grow without bound.
"""

from avscene.records import FloatArray

# Standard deviations, chosen on real predictions with 10 to 160 groups (benchmarks/few_groups.md).
DEVIATION = 0.25  # of an exponent: a modality's total weight in a log-linear pool, temperature scaling
SCENE_DEVIATION = 0.05  # of the scale and the bias of one scene in vector scaling


def prior_precision(weights: FloatArray | None, n_rows: int, deviation: float) -> float:
    """Return the precision of a prior beside a mean log loss over `n_rows` rows; without `weights`, each weighs 1."""
    total = n_rows if weights is None else float(weights.sum())
    return 1 / (deviation**2 * total)
