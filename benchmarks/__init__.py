"""What avscene takes, side by side with what a user would pick instead: `python -m benchmarks`."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line has it, before torch is imported
