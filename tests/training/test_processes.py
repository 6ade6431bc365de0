"""Test what several processes share: items, gradients and the statistics of batch norms."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from avscene.training.fine_tuning.batch_norms import estimate_statistics
from avscene.training.fine_tuning.gradients import GradientSum
from avscene.training.processes import Processes

ALONE = Processes(0, 1, torch.device("cpu"))


@given(st.integers(0, 50), st.integers(1, 9))
def test_shares_are_all_items_once_in_order(n_items: int, n_ranks: int) -> None:
    shares = [Processes(rank, n_ranks, torch.device("cpu")).shard(range(n_items)) for rank in range(n_ranks)]
    assert [item for part in shares for item in part] == list(range(n_items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_gradients_of_micro_batches_are_those_of_the_batch() -> None:
    torch.manual_seed(0)
    layer, rows = nn.Linear(5, 3), torch.randn(12, 5)
    total = GradientSum(layer.parameters())
    for _ in range(2):  # the second step must not depend on the first
        loss = 0.0
        for part in rows.split(4):
            total.add(layer(part).square().sum())
        loss = total.finish(ALONE, len(rows))
        found = [parameter.grad for parameter in layer.parameters()]
        layer.zero_grad()
        expected = layer(rows).square().sum() / len(rows)
        expected.backward()
        assert loss == pytest.approx(expected.item(), rel=1e-6)
        for ours, parameter in zip(found, layer.parameters(), strict=True):
            torch.testing.assert_close(ours, parameter.grad)
        layer.zero_grad()


class Joined:
    """Two processes as threads: all_reduce waits for the other one."""

    def __init__(self) -> None:
        self._barrier, self._held = Barrier(2), {}

    def of(self, rank: int) -> Processes:
        def all_reduce(_: Processes, tensor: torch.Tensor) -> None:
            self._held[rank] = tensor.clone()
            self._barrier.wait()
            tensor.copy_(self._held[0] + self._held[1])

        return type("One", (Processes,), {"all_reduce": all_reduce})(rank, 2, torch.device("cpu"))

    def estimate(self, rank: int, network: nn.Module, inputs: list[torch.Tensor]) -> None:
        """Estimate statistics as process `rank`; an error ends the other process too."""
        try:
            processes = self.of(rank)
            estimate_statistics(network, processes.shard(inputs), processes)
        except BaseException:
            self._barrier.abort()
            raise


def norms(momentum: float = 0.3) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=momentum), nn.ReLU(), nn.Dropout(0.9))


def maps_of(count: int) -> list[torch.Tensor]:
    """Batches of different means."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(5, 3, 6, 6, generator=generator) + k for k in range(count)]


def test_batch_norms_are_estimated_as_the_mean_over_batches() -> None:
    network, inputs = norms().train(), maps_of(4)
    maps = [network[0](batch).detach() for batch in inputs]
    estimate_statistics(network, inputs, ALONE)
    expected = torch.stack([one.mean((0, 2, 3)) for one in maps]).mean(0)
    torch.testing.assert_close(network[1].running_mean, expected)
    expected = torch.stack([one.var((0, 2, 3)) for one in maps]).mean(0)
    torch.testing.assert_close(network[1].running_var, expected)
    assert network[1].momentum == 0.3
    assert not any(module.training for module in network.modules())


def test_two_processes_estimate_batch_norms_as_one() -> None:
    inputs, joined = maps_of(5), Joined()
    networks = [norms(), norms(), norms()]
    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(joined.estimate, rank, networks[rank], inputs) for rank in (0, 1)]:
            future.result()
    estimate_statistics(networks[2], inputs, ALONE)
    for network in networks[:2]:
        for ours, theirs in zip(network[1].buffers(), networks[2][1].buffers(), strict=True):
            torch.testing.assert_close(ours, theirs)
