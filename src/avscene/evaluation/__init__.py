"""Compute metrics, intervals and comparisons from prediction tables with true scenes."""
