"""ConSE: zero-shot probabilities of scene names from ImageNet probabilities of frames."""
