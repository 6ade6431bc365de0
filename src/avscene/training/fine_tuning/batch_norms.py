"""Freeze the statistics of batch norms, or estimate them for averaged weights."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from avscene.training.processes import Processes


def freeze_statistics(network: nn.Module) -> None:
    """Make batch norms use their running statistics in training too, without updating them.

    With few recordings, the statistics of a batch describe its recordings, not the data.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@torch.no_grad()
def estimate_statistics(network: nn.Module, batches: Iterable[Tensor], processes: Processes) -> None:
    """Set the running averages of `network` to the mean over the `batches` of all processes.

    Averages kept during training lag behind the weights, and averaged weights have none of their own (Izmailov et al.
    2018, "Averaging Weights Leads to Wider Optima and Better Generalization", section 3.2). The network is left in
    evaluation mode.
    """
    norms = [module for module in network.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then keeps the unweighted mean over all batches
        norm.train()
    count = 0
    for inputs in batches:
        network(inputs)
        count += 1
    if processes.count > 1 and norms:
        _share_mean(norms, count, processes)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _share_mean(norms: list[nn.BatchNorm2d], count: int, processes: Processes) -> None:
    """Replace averages over `count` batches of this process by those over the batches of all processes."""
    averages = [average for norm in norms for average in (norm.running_mean, norm.running_var) if average is not None]
    counted = torch.tensor([float(count)], dtype=torch.float64, device=averages[0].device)
    flat = torch.cat([counted, *(average.double() * count for average in averages)])
    processes.all_reduce(flat)
    means = torch.split(flat[1:] / flat[0], [average.numel() for average in averages])
    for average, mean in zip(averages, means, strict=True):
        average.copy_(mean)
    for norm in norms:
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.fill_(int(flat[0]))
