"""Training on data that are whole in memory: tensors stay on the device, a batch is a gather by row numbers."""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avscene.errors import DataError
from avscene.progress import Progress

LEAST_BATCH = 32
LEAST_STEPS = 64  # in an epoch, where LEAST_BATCH allows them
EVALUATION_BATCH = 8192


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """AdamW under a cosine that falls from `learning_rate` to 0 over all steps, or Adam at `learning_rate` throughout.

    Adam's `weight_decay` is part of the gradient. `batch_size` rows make a step; fewer where an epoch would have less
    than LEAST_STEPS of them.
    """

    epochs: int = 20
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    seed: int = 0
    optimiser: Literal["adamw-cosine", "adam"] = "adamw-cosine"

    def batch_of(self, n_rows: int) -> int:
        """Rows of a step where an epoch has `n_rows`."""
        return min(self.batch_size, max(LEAST_BATCH, n_rows // LEAST_STEPS))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """`inputs`, tensors (n, ...), and their `targets` (n,); `train` and `valid` are row numbers. All on one device."""

    inputs: tuple[Tensor, ...]
    targets: Tensor
    train: Tensor
    valid: Tensor

    def batch(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """Inputs and targets of `rows`."""
        return [values.index_select(0, rows) for values in self.inputs], self.targets.index_select(0, rows)


def train_in_memory(
    network: nn.Module, table: Table, schedule: HeadSettings, progress: Progress | None = None
) -> list[dict[str, float]]:
    """Train `network`, whose forward takes the inputs of `table` and gives logits, and leave it at its best epoch.

    The best epoch is that of least log loss on the validation rows. What is random depends on the seed and the epoch
    alone, and torch's own random state is left as it was.

    Returns:
        One row for each epoch: `epoch`, `train_log_loss` (as seen in training, with dropout), `valid_log_loss`,
        `valid_accuracy`.

    Raises:
        DataError: there are less than two rows to train on or none to validate on, or the loss is not finite.
    """
    _check(table)
    kind = torch.optim.Adam if schedule.optimiser == "adam" else torch.optim.AdamW
    optimiser = kind(network.parameters(), weight_decay=schedule.weight_decay, fused=True)
    batch_size = schedule.batch_of(len(table.train))
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    with torch.random.fork_rng(_gpus(table)):
        _start_statistics(network, table, schedule, batch_size)
        for epoch in range(schedule.epochs):
            seen = run_epoch(network, optimiser, table, schedule, epoch)
            loss, accuracy = evaluate(network, table)
            if not math.isfinite(seen + loss):
                raise DataError(f"the loss is not finite after epoch {epoch + 1}: the embeddings are damaged")
            if loss < min((row["valid_log_loss"] for row in history), default=math.inf):
                best = copy.deepcopy(network.state_dict())
            figures = {"train_log_loss": seen, "valid_log_loss": loss, "valid_accuracy": accuracy}
            history.append({"epoch": epoch + 1, **figures})
            if progress is not None:
                progress(epoch + 1, schedule.epochs)
    network.load_state_dict(best)
    return history


def run_epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, table: Table, schedule: HeadSettings, epoch: int
) -> float:
    """One pass over the training rows in an order of their own; the mean log loss on the way.

    The rows are cut into batches of nearly equal length, so that none is too short to normalise.
    """
    network.train()
    torch.manual_seed(_seed(schedule.seed, epoch))
    order = table.train[torch.randperm(len(table.train)).to(table.train.device)]
    n_steps = math.ceil(len(order) / schedule.batch_of(len(order)))
    total = torch.zeros((), device=order.device)
    for step, rows in enumerate(order.tensor_split(n_steps)):
        _set_rate(optimiser, schedule, (epoch + step / n_steps) / schedule.epochs)
        inputs, targets = table.batch(rows)
        loss = functional.cross_entropy(network(*inputs), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.detach() * len(rows)
    return float(total) / len(order)


@torch.inference_mode()
def evaluate(network: nn.Module, table: Table) -> tuple[float, float]:
    """Log loss and accuracy on the validation rows."""
    network.eval()
    loss, hits = 0.0, 0
    for rows in table.valid.tensor_split(math.ceil(len(table.valid) / EVALUATION_BATCH)):
        inputs, targets = table.batch(rows)
        logits = network(*inputs).double()
        loss += float(functional.cross_entropy(logits, targets, reduction="sum"))
        hits += int((logits.argmax(1) == targets).sum())
    return loss / len(table.valid), hits / len(table.valid)


def _check(table: Table) -> None:
    if len(table.train) < 2:
        raise DataError(f"a network needs at least two training rows, got {len(table.train)}")
    if not len(table.valid):
        raise DataError("no validation row is left to choose the best epoch by")


@torch.no_grad()
def _start_statistics(network: nn.Module, table: Table, schedule: HeadSettings, batch_size: int) -> None:
    """Set the running statistics of batch norms to those of one batch.

    Left at 0 and 1 they would still weigh in after hundreds of steps: embeddings of length 1 have variances of 1e-4.
    """
    torch.manual_seed(_seed(schedule.seed, schedule.epochs))
    rows = table.train[torch.randperm(len(table.train))[:batch_size].to(table.train.device)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    network(*table.batch(rows)[0])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _set_rate(optimiser: torch.optim.Optimizer, schedule: HeadSettings, done: float) -> None:
    """The learning rate when the share `done` of all steps is done."""
    share = 1.0 if schedule.optimiser == "adam" else 0.5 * (1 + math.cos(math.pi * done))
    for group in optimiser.param_groups:
        group["lr"] = schedule.learning_rate * share


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _gpus(table: Table) -> list[int]:
    return [table.targets.device.index or 0] if table.targets.device.type == "cuda" else []
