"""A table to a checkpoint."""
