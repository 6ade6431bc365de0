"""Turn segments into the tensors that networks take: preprocessed frames and log-mel spectrograms."""
