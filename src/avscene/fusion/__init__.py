"""Scores to one score: rules that fuse models, and post-processing."""
