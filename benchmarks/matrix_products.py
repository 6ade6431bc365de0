"""Measure the speed of large matrix products: the limit for every network on this processor."""

from collections.abc import Sequence

import torch

from benchmarks.harness import Run

PRECISIONS = (torch.float32, torch.bfloat16)
SIDES = (1024, 2048, 3072)  # of square matrices: the fastest size depends on the machine


def products(sides: Sequence[int], precisions: Sequence[torch.dtype]) -> dict[str, Run]:
    """Return square matrix products as runs, to be timed in turn with what they are compared with."""
    matrices = {(side, dtype): torch.randn(side, side).to(dtype) for side in sides for dtype in precisions}
    return {f"{side} {dtype}": lambda matrix=matrix: matrix @ matrix for (side, dtype), matrix in matrices.items()}


def peak(times: dict[str, list[float]], dtype: torch.dtype, sides: Sequence[int]) -> list[float]:
    """Return the floating-point operations per second of the fastest product in each round."""
    rates = [[2 * side**3 / seconds for seconds in times[f"{side} {dtype}"]] for side in sides]
    return [max(in_round) for in_round in zip(*rates, strict=True)]
