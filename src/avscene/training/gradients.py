"""Gradients and batch statistics of many micro-batches and processes, as if one process had seen all in order."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from avscene.training.processes import Processes


class GradientSum:
    """The gradients of a step, added up in double precision.

    Rounded to single precision only at the end, the sum is the same in whatever order it was formed: the number of
    processes does not show, but for a rounding in hundreds of millions.
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
        """Hand the parameters the gradients of the mean over the step's `n_rows`, and return that mean loss."""
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
        processes.add_up(flat)
        for tensor, part in zip(every, torch.split(flat, [tensor.numel() for tensor in every]), strict=True):
            tensor.copy_(part.view(tensor.shape))


class RunningStatistics:
    """Batch norms' running averages when each process sees only its share of a step's micro-batches.

    An update is average <- (1 - m) average + m statistic, so the updates of one process after those of another amount
    to the sum of both, the earlier shrunk by a power of (1 - m). The result is that of one process, to rounding.
    """

    def __init__(self, network: nn.Module) -> None:
        self._norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        self._before: list[Tensor] = []
        self._counted: list[int] = []

    def remember(self) -> None:
        """Keep the averages from before a step."""
        self._before = [average.double() for average, _ in self._averages()]
        self._counted = [int(norm.num_batches_tracked or 0) for norm in self._norms]

    def compose(self, processes: Processes, shares: list[int]) -> None:
        """Make the averages those after all processes' updates, `shares` (n_processes,) micro-batches each, by rank."""
        own, later, every = shares[processes.rank], sum(shares[processes.rank + 1 :]), sum(shares)
        parts = []
        for before, (average, kept) in zip(self._before, self._averages(), strict=True):
            parts.append(((average - kept**own * before) * kept**later).reshape(-1))
        flat = torch.cat(parts)
        processes.add_up(flat)
        added = torch.split(flat, [average.numel() for average, _ in self._averages()])
        for before, part, (average, kept) in zip(self._before, added, self._averages(), strict=True):
            average.copy_(kept**every * before + part)
        for counted, norm in zip(self._counted, self._norms, strict=True):
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.fill_(counted + every)

    def _averages(self) -> list[tuple[Tensor, float]]:
        """Each running average and the share of itself that it keeps in an update."""
        return [
            (average, 1 - (norm.momentum or 0.0))
            for norm in self._norms
            for average in (norm.running_mean, norm.running_var)
            if average is not None
        ]
