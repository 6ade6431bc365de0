"""The peak that a processor reaches in large matrix products: what no network can pass."""

import torch

from benchmarks.harness import Run

PRECISIONS = (torch.float32, torch.bfloat16)
SIDES = (1024, 2048, 3072)  # of square matrices: which are multiplied fastest depends on the machine


def products(sides: tuple[int, ...], precisions: tuple[torch.dtype, ...]) -> dict[str, Run]:
    """Square matrix products, to take turns with what is compared with them."""
    matrices = {(side, dtype): torch.randn(side, side).to(dtype) for side in sides for dtype in precisions}
    return {f"{side} {dtype}": lambda matrix=matrix: matrix @ matrix for (side, dtype), matrix in matrices.items()}


def peak(taken: dict[str, list[float]], dtype: torch.dtype, sides: tuple[int, ...]) -> list[float]:
    """Floating-point operations a second of the best product in each round."""
    rates = [[2 * side**3 / seconds for seconds in taken[f"{side} {dtype}"]] for side in sides]
    return [max(of_round) for of_round in zip(*rates, strict=True)]
