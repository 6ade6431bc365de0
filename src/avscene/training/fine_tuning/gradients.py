"""Add up the gradients of micro-batches and processes, as if they were one batch."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from avscene.training.processes import Processes


class GradientSum:
    """Gradients of one step, added up in double precision.

    The sum is rounded to single precision only at the end, so it hardly depends on the order of summation: one process
    and several get the same weights, except for rare differences in the last bit.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self._sums = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in self._parameters]
        self._loss = torch.zeros(1, dtype=torch.float64, device=self._sums[0].device)

    def add(self, loss: Tensor) -> None:
        """Add the gradients of `loss` (), a sum over the rows of a micro-batch."""
        loss.backward()  # type: ignore[no-untyped-call]
        self._loss += loss.detach()
        for total, parameter in zip(self._sums, self._parameters, strict=True):
            if parameter.grad is not None:
                total.add_(parameter.grad)
                parameter.grad = None

    def finish(self, processes: Processes, n_rows: int) -> float:
        """Set the parameters' gradients to those of the mean over the step's `n_rows`, and return that mean loss."""
        if processes.count > 1:
            self._add_up(processes)
        for total, parameter in zip(self._sums, self._parameters, strict=True):
            parameter.grad = (total / n_rows).to(parameter.dtype)
            total.zero_()
        mean = float(self._loss) / n_rows
        self._loss.zero_()
        return mean

    def _add_up(self, processes: Processes) -> None:
        every = [self._loss, *self._sums]
        flat = torch.cat([tensor.reshape(-1) for tensor in every])
        processes.all_reduce(flat)
        for tensor, part in zip(every, torch.split(flat, [tensor.numel() for tensor in every]), strict=True):
            tensor.copy_(part.view(tensor.shape))
