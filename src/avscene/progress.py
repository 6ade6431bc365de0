"""Types of the functions that long work calls to report its progress."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # called with (steps done, steps in all)
StageProgress = Callable[[str], Progress]  # the name of a stage -> the progress of that stage
