"""Measure the time and memory of avscene beside those of alternatives: `python -m benchmarks`."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as on the command line; must be set before torch is imported
