"""Convolutional networks, fine-tuned on frames or log-mels: tensors in, probabilities out."""
