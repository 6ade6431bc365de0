"""Make named systems from the rows of one segment store, step by step: checkpoints and predictions."""
