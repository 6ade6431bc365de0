"""One epoch of the late fusion network on data of TAU's size: whole in memory against a plain DataLoader loop.

python benchmarks/fusion_network.py [--rows 86460] [--repeats 3] [--threads 2] [--learn]

Prints medians of interleaved runs, their ratio, and the share of the processor's measured matrix-product peak. With
`--learn`, also the validation log loss after all epochs of both, on features that tell the scenes apart only in part.
"""

import argparse
import math
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from avscene.models.clip_fusion import BRANCH, DROPOUT, FUSED, HIDDEN, FusionNetwork
from avscene.training.fusion_network import fresh_network
from avscene.training.memory import Schedule, Table, evaluate, run_epoch, train_in_memory

SIZES = (640, 512, 512)  # of CLIP's RN50x4, RN101 and ViT-B/32
N_SCENES = 10
PLAIN_BATCH = 64
SEPARATION = 0.06  # of scenes' centres in units of the noise: about three quarters of the rows can be told right
PEAK_SIDE = 3072  # of the square matrices whose product tells the peak


class LayerByLayer(FusionNetwork):
    """The same network as table 1 writes it down: one layer after the other, torch's dropout."""

    def __init__(self) -> None:
        super().__init__(SIZES, N_SCENES)
        for branch in self.branches:
            branch[3] = nn.Dropout(DROPOUT)

    def forward(self, *embeddings: Tensor) -> Tensor:
        branches = [branch(values) for branch, values in zip(self.branches, embeddings, strict=True)]
        return self.classifier(self.fusion(torch.cat(branches, dim=1)))


def random_table(n_train: int, n_valid: int) -> Table:
    """Unit-variance noise around a random centre for each scene."""
    generator = torch.Generator().manual_seed(0)
    n_rows = n_train + n_valid
    targets = torch.randint(N_SCENES, (n_rows,), generator=generator)
    inputs = []
    for size in SIZES:
        values = torch.randn(n_rows, size, generator=generator)
        inputs.append(values.add_(SEPARATION * torch.randn(N_SCENES, size, generator=generator)[targets]))
    return Table(tuple(inputs), targets, torch.arange(n_train), torch.arange(n_train, n_rows))


def plain_loop(network: nn.Module, table: Table, epochs: int, *, decay: bool = False) -> None:
    """What a tutorial would do: a loader that collates single rows into batches of 64."""
    rows = [values[: len(table.train)] for values in (*table.inputs, table.targets)]
    loader = DataLoader(TensorDataset(*rows), batch_size=PLAIN_BATCH, shuffle=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=Schedule().learning_rate, fused=True)
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


def in_memory(table: Table) -> None:
    """An epoch of avscene's own training."""
    network = fresh_network(SIZES, N_SCENES, seed=0)
    run_epoch(network, torch.optim.AdamW(network.parameters(), fused=True), table, Schedule(), epoch=0)


def seconds_of(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and seconds of processor time; others on the machine lengthen the former only."""
    began, began_cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began, time.process_time() - began_cpu


def peak() -> float:
    """Floating-point operations a second of a large float32 matrix product."""
    left, right = torch.randn(2, PEAK_SIDE, PEAK_SIDE).unbind()
    return 2 * PEAK_SIDE**3 / min(seconds_of(lambda: torch.mm(left, right))[0] for _ in range(3))


def operations(n_rows: int) -> tuple[float, float]:
    """Floating-point operations of matrix products in an epoch: as computed, and as table 1 writes the layers down.

    Forward and backward; the first layers need no gradient of their inputs.
    """
    first = sum(SIZES) * HIDDEN
    hidden = len(SIZES) * HIDDEN
    head = hidden * BRANCH + len(SIZES) * BRANCH * FUSED + FUSED * N_SCENES
    composed = N_SCENES * (hidden * BRANCH + len(SIZES) * BRANCH * FUSED + FUSED)
    n_steps = math.ceil(n_rows / Schedule().batch_of(n_rows))
    ours = 2 * n_rows * (2 * first + 3 * hidden * N_SCENES) + 2 * n_steps * 3 * composed
    return ours, 2 * n_rows * (2 * first + 3 * head)


def measure(n_rows: int, repeats: int) -> None:
    table = random_table(n_rows, 1)
    runs: dict[str, Callable[[], None]] = {
        "DataLoader, batch 64, layer by layer": lambda: plain_loop(LayerByLayer(), table, 1),
        "DataLoader, batch 64, avscene's network": lambda: plain_loop(fresh_network(SIZES, N_SCENES, 0), table, 1),
        f"in memory, batch {Schedule().batch_of(n_rows)}": lambda: in_memory(table),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    peaks = [peak()]
    for _ in range(repeats):
        for name, run in runs.items():
            seconds[name].append(seconds_of(run))
        peaks.append(peak())
    medians = [[statistics.median(kind) for kind in zip(*times, strict=True)] for times in seconds.values()]
    plain, ours = medians[0], medians[-1]
    print(f"{'one epoch':42s} {'clock':>9s} {'ratio':>7s} {'processor':>12s} {'ratio':>7s}")
    for name, (clock, cpu) in zip(seconds, medians, strict=True):
        print(f"{name:42s} {clock:7.2f} s {ours[0] / clock:7.3f} {cpu:10.2f} s {ours[1] / cpu:7.3f}")
    print(f"ratio to the plain loop: {ours[0] / plain[0]:.3f} (at most 0.333 is wanted)")
    done, nominal = operations(n_rows)
    best = max(peaks)
    print(f"matrix-product peak, float32: {best / 1e9:.1f} GFLOP/s (lowest of {len(peaks)}: {min(peaks) / 1e9:.1f})")
    print(f"in memory: {done / 1e9:.0f} GFLOP of matrix products in an epoch, {done / ours[0] / best:.0%} of the peak;")
    print(f"layer by layer they would be {nominal / 1e9:.0f}, as if at {nominal / ours[0] / best:.0%} of the peak")


def learn(n_rows: int) -> None:
    table = random_table(n_rows, n_rows // 10)
    history = train_in_memory(fresh_network(SIZES, N_SCENES, seed=0), table, Schedule())
    torch.manual_seed(0)
    plain = LayerByLayer()
    plain_loop(plain, table, Schedule().epochs, decay=True)
    ours = [(row["valid_log_loss"], row["valid_accuracy"]) for row in history]
    figures = {
        "in memory, last epoch": ours[-1],
        "in memory, best epoch, which is kept": min(ours),
        "DataLoader, batch 64, last epoch": evaluate(plain, table),
    }
    for name, (loss, accuracy) in figures.items():
        print(f"{name:42s} validation log loss {loss:.4f}, accuracy {accuracy:.4f} ({Schedule().epochs} epochs)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=86_460)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--learn", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{platform.processor() or platform.machine()}, {options.threads} thread(s), torch {torch.__version__}")
    measure(options.rows, options.repeats)
    if options.learn:
        learn(options.rows)


if __name__ == "__main__":
    main()
