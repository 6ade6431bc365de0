"""Schedule the rows, random numbers and learning rate of every training step.

All are pure functions of the plan, the rows and the number of the step. So an interrupted training resumes exactly, and
several processes use the same inputs as one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from math import ceil, cos, pi

import numpy as np

from avscene.training.fine_tuning.plan import NetworkPlan

# Rows on which batch norms are estimated once an epoch: this many, or one in STATISTICS_SHARE if that is more.
STATISTICS_ROWS = 256
STATISTICS_SHARE = 8


class RandomStream(IntEnum):
    """Purposes of random numbers; each has its own stream."""

    ORDER = 1
    ROW = 2
    MIXUP = 3
    NETWORK = 4
    STATISTICS = 5


def random_for(stream: RandomStream, seed: int, *counts: int) -> np.random.Generator:
    """Return the generator for one purpose at one point of the training, for example an epoch and a row."""
    # Counts come first: numpy ignores trailing zeros of a seed.
    return np.random.default_rng([*counts, seed, int(stream), len(counts) + 1])


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows of the store that pass through the network together: number `index` of step `step`, both from 0."""

    epoch: int
    step: int
    index: int
    rows: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Schedule:
    """The steps of a training on `rows` (n,), at least two.

    Each micro-batch is divided in up to `pieces`, for plans in which rows do not affect each other.
    """

    plan: NetworkPlan
    rows: Sequence[int]
    pieces: int = 1

    @property
    def rows_per_epoch(self) -> int:
        """Rows of an epoch: whole micro-batches, or all rows if they do not fill one."""
        n_rows, size = len(self.rows), self.plan.micro_batch
        return n_rows if n_rows < size else n_rows - n_rows % size

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a step, or pieces of them; the last step of an epoch may have fewer."""
        return self.plan.batch // self.plan.micro_batch * min(self.pieces, self.plan.micro_batch)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch."""
        return ceil(self.rows_per_epoch / self.plan.batch)

    @property
    def n_steps(self) -> int:
        """Steps of the training."""
        return self.plan.epochs * self.steps_per_epoch

    def steps(self, first: int) -> Iterator[tuple[MicroBatch, ...]]:
        """Yield the micro-batches of every step from step `first` on."""
        skipped = first % self.steps_per_epoch
        for epoch in range(first // self.steps_per_epoch, self.plan.epochs):
            yield from islice(self._epoch(epoch), skipped, None)
            skipped = 0

    def _epoch(self, epoch: int) -> Iterator[tuple[MicroBatch, ...]]:
        order = random_for(RandomStream.ORDER, self.plan.seed, epoch).permutation(np.asarray(self.rows))
        order = order[: self.rows_per_epoch]
        for number, begin in enumerate(range(0, len(order), self.plan.batch)):
            step = epoch * self.steps_per_epoch + number
            taken = order[begin : begin + self.plan.batch].tolist()
            size = self.plan.micro_batch
            parts = [
                tuple(piece)
                for start in range(0, len(taken), size)
                for piece in _divided(taken[start : start + size], self.pieces)
            ]
            yield tuple(MicroBatch(epoch, step, index, part) for index, part in enumerate(parts))

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then a cosine that reaches 0 one step after the last."""
        warm_up = min(round(self.plan.warm_up * self.steps_per_epoch), self.n_steps - 1)
        if step < warm_up:
            return self.plan.learning_rate * (step + 1) / (warm_up + 1)
        done = (step - warm_up) / (self.n_steps - warm_up)
        return self.plan.learning_rate * (1 + cos(pi * done)) / 2

    def statistics_batches(self) -> list[tuple[int, ...]]:
        """Return micro-batches of rows on which the batch norms of averaged weights are estimated."""
        order = random_for(RandomStream.STATISTICS, self.plan.seed).permutation(np.asarray(self.rows)).tolist()
        size = min(self.plan.micro_batch, len(order))
        count = max(STATISTICS_ROWS, len(order) // STATISTICS_SHARE) // size
        parts = [tuple(order[start : start + size]) for start in range(0, len(order) - size + 1, size)]
        return parts[: max(1, count)]


def pieces_for(plan: NetworkPlan, n_processes: int) -> int:
    """Return into how many pieces micro-batches are divided, so that each process gets one of a step.

    Only where the result is the same: with a linear probe batch norms are frozen, and without mixup a row affects no
    other row. Other plans keep their micro-batches whole.
    """
    if not plan.linear_probe or plan.mixup:
        return 1
    return min(plan.micro_batch, ceil(n_processes * plan.micro_batch / plan.batch))


def _divided(rows: list[int], pieces: int) -> Iterator[list[int]]:
    """Yield `rows` in up to `pieces` parts; they differ by one row at most."""
    count = min(pieces, len(rows))
    for index in range(count):
        yield rows[len(rows) * index // count : len(rows) * (index + 1) // count]
