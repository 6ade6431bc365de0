"""OpenL3 embeddings to the heads of the DCASE 2021 baseline: sound, picture, or both joined."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.openl3.heads import ENCODERS, OpenL3Branch, OpenL3Fusion, OpenL3HeadPart, OpenL3Trunk
from avscene.progress import Progress
from avscene.records import FloatArray, IntArray, Needs
from avscene.training.heads.in_memory import HeadSettings, Table, train_in_memory
from avscene.training.result import TrainedModel

# The baseline's. Its embeddings overlapped by nine tenths, so one of its epochs had ten times the rows of ours.
BASELINE = HeadSettings(epochs=200, batch_size=64, learning_rate=1e-4, weight_decay=1e-4, optimiser="adam")
_LEAST_DEVIATION = 1e-6  # of a channel: one that never moves is not blown up


@dataclass(frozen=True, slots=True)
class OpenL3Plan:
    """What to train: the model's `name` and `modality`, and by encoder the `encoder_keys`, which loading compares.

    `schedule` is that of each branch; the layers that join two trained branches take `fusion_epochs`.
    """

    name: str
    modality: Needs
    encoder_keys: Mapping[str, str]
    schedule: HeadSettings = field(default_factory=lambda: BASELINE)
    fusion_epochs: int = 100


def train_openl3_head(
    embeddings: Mapping[str, FloatArray],
    truth: IntArray,
    train_rows: IntArray,
    valid_rows: IntArray,
    labels: LabelSet,
    plan: OpenL3Plan,
    runtime: Runtime,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train a branch for each encoder of the modality and, where there are two, what joins them.

    Args:
        embeddings: arrays (n, 512) by encoder; rows that are NaN teach nothing that needs them.
        truth: (n,) scene indices.
        train_rows: row numbers to train on.
        valid_rows: row numbers by which the best epoch is chosen.
        labels: the scenes.
        plan: name, modality, encoders' keys and schedule.
        runtime: the device; networks are trained in float32.
        progress: called with epochs done and epochs in all.

    Raises:
        DataError: too few rows have the embeddings.
    """
    encoders = ENCODERS[plan.modality]
    part = OpenL3HeadPart(
        name=plan.name, modality=plan.modality, encoder_keys=tuple(plan.encoder_keys[name] for name in encoders)
    )
    rows = _Rows(np.asarray(truth), np.asarray(train_rows), np.asarray(valid_rows))
    watch = _Watch(progress, len(encoders) * plan.schedule.epochs + (len(encoders) > 1) * plan.fusion_epochs)
    figures: dict[str, Any] = asdict(plan.schedule)
    branches: list[OpenL3Branch] = []
    for number, name in enumerate(encoders):
        branch, history = _train_branch(
            embeddings[name],
            rows.having({name: embeddings[name]}),
            len(labels),
            replace(plan.schedule, seed=plan.schedule.seed + number),
            runtime,
            watch.after(number * plan.schedule.epochs),
        )
        branches.append(branch)
        figures[name] = _best(history)
    network: nn.Module = branches[0]
    if len(branches) > 1:
        arrays = {name: embeddings[name] for name in encoders}
        schedule = replace(plan.schedule, epochs=plan.fusion_epochs)
        joined = watch.after(len(encoders) * plan.schedule.epochs)
        network, history = _train_fusion(arrays, rows.having(arrays), branches, len(labels), schedule, runtime, joined)
    figures |= {**_best(history), "parameters": sum(parameter.numel() for parameter in network.parameters())}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return TrainedModel(part, tensors, figures, history)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Scene indices (n,), and row numbers to train on and to choose by."""

    truth: IntArray
    train: IntArray
    valid: IntArray

    def having(self, arrays: Mapping[str, FloatArray]) -> "_Rows":
        """Without the rows that lack an embedding."""
        present = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in arrays.values()])
        kept = _Rows(self.truth, self.train[present[self.train]], self.valid[present[self.valid]])
        for kind, before, after in (("training", self.train, kept.train), ("validation", self.valid, kept.valid)):
            if len(before) and not len(after):
                raise DataError(f"none of the {len(before)} {kind} rows has embeddings of {', '.join(arrays)}")
        return kept

    def table(self, values: Tensor, runtime: Runtime) -> Table:
        """All of it on the device, with `values` (n, size) as a network's one input."""
        truth, train, valid = (torch.from_numpy(rows.astype(np.int64)) for rows in (self.truth, self.train, self.valid))
        placed = [tensor.to(runtime.device) for tensor in (values, truth, train, valid)]
        return Table((placed[0],), placed[1], placed[2], placed[3])


@dataclass(frozen=True, slots=True)
class _Watch:
    """Tells of the epochs of several trainings as of one."""

    progress: Progress | None
    total: int

    def after(self, done: int) -> Progress | None:
        """What to tell a training that begins when `done` epochs are over."""
        progress = self.progress
        return None if progress is None else lambda epochs, _: progress(done + epochs, self.total)


def _train_branch(
    embeddings: FloatArray,
    rows: _Rows,
    n_scenes: int,
    schedule: HeadSettings,
    runtime: Runtime,
    progress: Progress | None,
) -> tuple[OpenL3Branch, list[dict[str, float]]]:
    with torch.random.fork_rng([]):
        torch.manual_seed(schedule.seed)
        branch = OpenL3Branch(n_scenes, embeddings.shape[1])
    _standardise(branch.trunk, embeddings[rows.train])
    table = rows.table(torch.from_numpy(np.require(embeddings, np.float32, ["C", "W"])), runtime)
    history = train_in_memory(branch.to(runtime.device), table, schedule, progress)
    return branch, history


def _standardise(trunk: OpenL3Trunk, embeddings: FloatArray) -> None:
    """Give the trunk mean and deviation of each channel."""
    trunk.mean.copy_(torch.from_numpy(embeddings.mean(axis=0, dtype=np.float64)))
    deviation = embeddings.std(axis=0, dtype=np.float64)
    trunk.deviation.copy_(torch.from_numpy(np.where(deviation > _LEAST_DEVIATION, deviation, 1)))


def _train_fusion(
    arrays: Mapping[str, FloatArray],
    rows: _Rows,
    branches: Sequence[OpenL3Branch],
    n_scenes: int,
    schedule: HeadSettings,
    runtime: Runtime,
    progress: Progress | None,
) -> tuple[OpenL3Fusion, list[dict[str, float]]]:
    """The branches' trunks stay as they are, so what they say is computed once."""
    with torch.random.fork_rng([]):
        torch.manual_seed(schedule.seed + len(branches))
        fusion = OpenL3Fusion(n_scenes, tuple(array.shape[1] for array in arrays.values()))
    for trunk, branch in zip(fusion.trunks, branches, strict=True):
        trunk.load_state_dict(branch.trunk.state_dict(), strict=True)
    fusion = fusion.to(runtime.device).train(mode=False)
    with torch.inference_mode():
        placed = [torch.from_numpy(np.asarray(array, np.float32)).to(runtime.device) for array in arrays.values()]
        middle = fusion.middle(*placed).clone()
    history = train_in_memory(fusion.joint, rows.table(middle, runtime), schedule, progress)
    return fusion, history


def _best(history: list[dict[str, float]]) -> dict[str, float]:
    best = min(history, key=lambda row: row["valid_log_loss"])
    told = {name: best[name] for name in ("valid_log_loss", "valid_accuracy")}
    return {"best_epoch": int(best["epoch"]), **told}
