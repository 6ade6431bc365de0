"""CLIP: image embeddings of frames, and zero-shot probabilities of scene names."""
