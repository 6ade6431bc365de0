"""Train a network on data that are whole in memory: tensors stay on the device, batches are gathered by row number."""

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

MIN_BATCH = 32
MIN_STEPS = 64  # in an epoch, if MIN_BATCH allows
EVALUATION_BATCH = 8192


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """Settings of a training: AdamW with a cosine from `learning_rate` to 0, or Adam with a constant `learning_rate`.

    Adam's `weight_decay` is part of the gradient. A step takes `batch_size` rows; fewer if an epoch would have
    less than MIN_STEPS steps.
    """

    epochs: int = 20
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    seed: int = 0
    optimiser: Literal["adamw-cosine", "adam"] = "adamw-cosine"

    def batch_of(self, n_rows: int) -> int:
        """Return the rows of a step if an epoch has `n_rows`."""
        return min(self.batch_size, max(MIN_BATCH, n_rows // MIN_STEPS))


@dataclass(frozen=True, slots=True, eq=False)
class InMemoryData:
    """Tensors `inputs` (n, ...) and `targets` (n,), and row numbers `train` and `valid`; all on one device."""

    inputs: tuple[Tensor, ...]
    targets: Tensor
    train: Tensor
    valid: Tensor

    def batch(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return inputs and targets of `rows`."""
        return [values.index_select(0, rows) for values in self.inputs], self.targets.index_select(0, rows)


def train_in_memory(
    network: nn.Module, table: InMemoryData, settings: HeadSettings, progress: Progress | None = None
) -> list[dict[str, float]]:
    """Train `network`, whose forward maps the inputs of `table` to logits, and leave it at its best epoch.

    The best epoch has the least log loss on the validation rows. Random numbers depend only on the seed and the epoch,
    and torch's own random state is not changed.

    Returns:
        One row for each epoch: `epoch`, `train_log_loss` (in training, with dropout), `valid_log_loss`,
        `valid_accuracy`.

    Raises:
        DataError: there are fewer than two training rows or no validation rows, or the loss is not finite.
    """
    _check(table)
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    optimiser = kind(network.parameters(), weight_decay=settings.weight_decay, fused=True)
    batch_size = settings.batch_of(len(table.train))
    history: list[dict[str, float]] = []
    best: dict[str, Tensor] = {}
    with torch.random.fork_rng(_gpus(table)):
        _start_statistics(network, table, settings, batch_size)
        for epoch in range(settings.epochs):
            train_loss = run_epoch(network, optimiser, table, settings, epoch)
            loss, accuracy = validation_metrics(network, table)
            if not math.isfinite(train_loss + loss):
                raise DataError(f"the loss is not finite after epoch {epoch + 1}: the embeddings are damaged")
            if loss < min((row["valid_log_loss"] for row in history), default=math.inf):
                best = copy.deepcopy(network.state_dict())
            metrics = {"train_log_loss": train_loss, "valid_log_loss": loss, "valid_accuracy": accuracy}
            history.append({"epoch": epoch + 1, **metrics})
            if progress is not None:
                progress(epoch + 1, settings.epochs)
    network.load_state_dict(best)
    return history


def run_epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, table: InMemoryData, settings: HeadSettings, epoch: int
) -> float:
    """Train on all training rows once, in random order, and return the mean log loss.

    Batches have nearly equal lengths, so that none is too short for batch norms.
    """
    network.train()
    torch.manual_seed(_seed(settings.seed, epoch))
    order = table.train[torch.randperm(len(table.train)).to(table.train.device)]
    n_steps = math.ceil(len(order) / settings.batch_of(len(order)))
    total = torch.zeros((), device=order.device)
    for step, rows in enumerate(order.tensor_split(n_steps)):
        _set_rate(optimiser, settings, (epoch + step / n_steps) / settings.epochs)
        inputs, targets = table.batch(rows)
        loss = functional.cross_entropy(network(*inputs), targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.detach() * len(rows)
    return float(total) / len(order)


@torch.inference_mode()
def validation_metrics(network: nn.Module, table: InMemoryData) -> tuple[float, float]:
    """Return log loss and accuracy on the validation rows."""
    network.eval()
    loss, hits = 0.0, 0
    for rows in table.valid.tensor_split(math.ceil(len(table.valid) / EVALUATION_BATCH)):
        inputs, targets = table.batch(rows)
        logits = network(*inputs).double()
        loss += float(functional.cross_entropy(logits, targets, reduction="sum"))
        hits += int((logits.argmax(1) == targets).sum())
    return loss / len(table.valid), hits / len(table.valid)


def _check(table: InMemoryData) -> None:
    if len(table.train) < 2:
        raise DataError(f"a network needs at least two training rows, got {len(table.train)}")
    if not len(table.valid):
        raise DataError("no validation rows to choose the best epoch on")


@torch.no_grad()
def _start_statistics(network: nn.Module, table: InMemoryData, settings: HeadSettings, batch_size: int) -> None:
    """Set the running statistics of batch norms to those of one batch.

    The initial 0 and 1 would affect results even after hundreds of steps: embeddings of norm 1 have variances of 1e-4.
    """
    torch.manual_seed(_seed(settings.seed, settings.epochs))
    rows = table.train[torch.randperm(len(table.train))[:batch_size].to(table.train.device)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    network(*table.batch(rows)[0])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _set_rate(optimiser: torch.optim.Optimizer, settings: HeadSettings, done: float) -> None:
    """Set the learning rate for the moment when the share `done` of all steps is done."""
    share = 1.0 if settings.optimiser == "adam" else 0.5 * (1 + math.cos(math.pi * done))
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * share


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _gpus(table: InMemoryData) -> list[int]:
    return [table.targets.device.index or 0] if table.targets.device.type == "cuda" else []
