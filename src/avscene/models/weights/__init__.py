"""Weights: find them on this machine, fetch them, verify them, and fill networks with them."""
