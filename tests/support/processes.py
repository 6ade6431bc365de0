"""Wait for other processes by their state, not by time."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]  # of the repository: `python -m tests.support...` is started there


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    """Wait until `condition()` holds; fail if `process` ends before that."""
    while not condition():
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the process ended early: {process.communicate()}")
