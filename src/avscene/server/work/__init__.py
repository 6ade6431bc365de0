"""Classify the recordings of jobs: load systems once, run jobs of the queue, and write their results."""
