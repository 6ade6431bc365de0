"""Choose float32 or bfloat16 for each network, by what a machine computes faster."""
