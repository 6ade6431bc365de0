"""Train small heads and networks on embeddings that are whole in memory: trained models from arrays."""
