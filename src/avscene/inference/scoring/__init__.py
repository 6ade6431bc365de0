"""Score batches of segments with models, and make predictions of recordings from the results."""
