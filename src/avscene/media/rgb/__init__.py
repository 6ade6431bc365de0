"""Convert decoded video frames to upright RGB."""
