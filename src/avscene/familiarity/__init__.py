"""Measure whether recordings resemble those that a system was trained on, from the embeddings of its encoders."""
