"""OpenL3: embeddings of audio and frames, and the DCASE baseline's classifiers on them."""
