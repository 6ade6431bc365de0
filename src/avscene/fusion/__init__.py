"""Fuse the probabilities of several models by a rule and post-processing, both fitted on other groups."""
