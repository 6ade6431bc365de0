"""Segments to tensors: log-mels from sound, normalised crops from frames."""
