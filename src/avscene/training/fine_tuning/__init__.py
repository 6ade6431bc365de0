"""Fine-tune networks on log-mels or frames of a segment store: from a plan to a trained model."""
