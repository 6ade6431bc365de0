"""Time an epoch of the late fusion network (C04) on data of TAU's size: in memory, and with a DataLoader.

python -m benchmarks.late_fusion [--learn]

Network and optimiser are the same on both sides; the features are random and separate the scenes only in part. The
validation log losses are compared after a few epochs, with `--learn` after all epochs of a training.
"""

import math
import sys
from collections.abc import Iterator
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from avscene.models.fusion_network import BRANCH, DROPOUT, HIDDEN, JOINT, FusionNetwork
from avscene.training.heads.fusion_network import initial_fusion_network
from avscene.training.heads.in_memory import HeadSettings, InMemoryData, run_epoch, train_in_memory, validation_metrics
from benchmarks.harness import Row, comparison_row, main, time_in_turn
from benchmarks.matrix_products import SIDES, peak, products

N_ROWS = 86_460
WIDTHS = (640, 512, 512)  # of CLIP's RN50x4, RN101 and ViT-B/32
N_SCENES = 10
LOADER_BATCH = 64
SEPARATION = 0.06  # of the scenes' centres in units of the noise: about three quarters of the rows can be classified
EPOCHS = 5  # few, as the loop with a DataLoader is slow
TARGET = 3


class LayerByLayer(FusionNetwork):
    """The same network as table 1 of the paper specifies it: one layer after the other, with torch's dropout."""

    def __init__(self) -> None:
        super().__init__(WIDTHS, N_SCENES)
        for branch in self.branches:
            branch[3] = nn.Dropout(DROPOUT)

    def forward(self, *embeddings: Tensor) -> Tensor:
        branches = [branch(values) for branch, values in zip(self.branches, embeddings, strict=True)]
        return self.classifier(self.fusion(torch.cat(branches, dim=1)))


def rows(rounds: int, quick: bool) -> Iterator[Row]:
    n_rows, epochs, sides = (512, 1, SIDES[:1]) if quick else (N_ROWS, EPOCHS, SIDES)
    table = random_table(n_rows, 1)
    check(table)
    runs = {
        "in memory": lambda: in_memory(table),
        "DataLoader, layer by layer": lambda: loader_epochs(LayerByLayer(), table, 1),
        "DataLoader, avscene's network": lambda: loader_epochs(initial_fusion_network(WIDTHS, N_SCENES, 0), table, 1),
    }
    times = time_in_turn(runs | products(sides, (torch.float32,)), rounds)
    rate = operations(n_rows) / median(times["in memory"])
    limit = median(peak(times, torch.float32, sides))
    note = (
        f"batches of {HeadSettings().batch_of(n_rows)} and {LOADER_BATCH}; avscene reaches {rate / limit:.0%} of the "
    )
    note += f"peak of float32 matrix products ({limit / 1e9:.0f} GFLOP/s)"
    for peer in list(runs)[1:]:
        yield comparison_row(f"C04, an epoch of {n_rows:,} rows", times, "in memory", peer, TARGET, note)
    yield losses_after(n_rows, epochs)


def random_table(n_train: int, n_valid: int, device: str = "cpu") -> InMemoryData:
    """Return rows of unit-variance noise around a random centre for each scene."""
    generator = torch.Generator().manual_seed(0)
    n_rows = n_train + n_valid
    targets = torch.randint(N_SCENES, (n_rows,), generator=generator)
    inputs = []
    for width in WIDTHS:
        values = torch.randn(n_rows, width, generator=generator)
        inputs.append(values.add_(SEPARATION * torch.randn(N_SCENES, width, generator=generator)[targets]))
    train, valid = torch.arange(n_train, device=device), torch.arange(n_train, n_rows, device=device)
    return InMemoryData(tuple(values.to(device) for values in inputs), targets.to(device), train, valid)


def loader_epochs(network: nn.Module, table: InMemoryData, epochs: int, *, decay: bool = False) -> None:
    """Train as in a tutorial: a DataLoader collates single rows into batches of 64."""
    rows = [values[: len(table.train)] for values in (*table.inputs, table.targets)]
    loader = DataLoader(TensorDataset(*rows), batch_size=LOADER_BATCH, shuffle=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=HeadSettings().learning_rate, fused=True)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * len(loader))
    network.train()
    for _ in range(epochs):
        for *inputs, targets in loader:
            loss = functional.cross_entropy(network(*inputs), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if decay:
                cosine.step()


def in_memory(table: InMemoryData) -> None:
    """Train an epoch with avscene."""
    network = initial_fusion_network(WIDTHS, N_SCENES, seed=0).to(table.targets.device)
    run_epoch(network, torch.optim.AdamW(network.parameters(), fused=True), table, HeadSettings(), epoch=0)


@torch.inference_mode()
def check(table: InMemoryData) -> None:
    """Check that both networks are the same function."""
    ours, layer_by_layer = initial_fusion_network(WIDTHS, N_SCENES, seed=0).eval(), LayerByLayer().eval()
    layer_by_layer.load_state_dict(ours.state_dict())
    inputs, _ = table.batch(table.train[:LOADER_BATCH])
    torch.testing.assert_close(ours(*inputs), layer_by_layer(*inputs))


def operations(n_rows: int) -> float:
    """Return the floating-point operations of the matrix products in an epoch of avscene.

    They count forward and backward passes; the first layers need no gradient of their inputs, and the last three layers
    are multiplied with each other once per step.
    """
    hidden = len(WIDTHS) * HIDDEN
    composed = N_SCENES * (hidden * BRANCH + len(WIDTHS) * BRANCH * JOINT + JOINT)
    n_steps = math.ceil(n_rows / HeadSettings().batch_of(n_rows))
    return 2 * n_rows * (2 * sum(WIDTHS) * HIDDEN + 3 * hidden * N_SCENES) + 2 * n_steps * 3 * composed


def losses_after(n_rows: int, epochs: int) -> Row:
    """Compare the validation log losses of both sides after a whole training with the same cosine schedule."""
    table = random_table(n_rows, n_rows // 10)
    history = train_in_memory(initial_fusion_network(WIDTHS, N_SCENES, seed=0), table, HeadSettings(epochs=epochs))
    ours = min((row["valid_log_loss"], row["valid_accuracy"]) for row in history)
    torch.manual_seed(0)
    layer_by_layer = LayerByLayer()
    loader_epochs(layer_by_layer, table, epochs, decay=True)
    theirs = validation_metrics(layer_by_layer, table)
    losses = [f"{loss:.4f} (accuracy {accuracy:.3f})" for loss, accuracy in (ours, theirs)]
    return Row(
        f"C04, validation log loss after {epochs} epochs of {n_rows:,} rows",
        losses[0],
        f"DataLoader, layer by layer: {losses[1]}",
        (theirs[0] / ours[0],),
        note="above 1: the loss of avscene is lower; for avscene, that of the best epoch, which is kept",
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--learn"]:
        print(losses_after(N_ROWS, HeadSettings().epochs).markdown())
    else:
        main(rows, __doc__)
