"""Generate toytown, a synthetic data set in TAU's layout, from a seed."""
