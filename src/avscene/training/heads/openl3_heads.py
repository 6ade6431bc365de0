"""Train the heads of the DCASE 2021 baseline on OpenL3 embeddings of audio, video or both."""

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
from avscene.training.heads.in_memory import HeadSettings, InMemoryData, train_in_memory
from avscene.training.result import TrainedModel

# The baseline's settings. Its embeddings overlapped by nine tenths: one of its epochs had ten times the rows of ours.
BASELINE = HeadSettings(epochs=200, batch_size=64, learning_rate=1e-4, weight_decay=1e-4, optimiser="adam")
_MIN_DEVIATION = 1e-6  # of a channel: constant channels are not scaled


@dataclass(frozen=True, slots=True)
class OpenL3Plan:
    """What to train: the model's `name` and `modality`, and the `encoder_keys` by encoder, which loading compares.

    `settings` are those of each branch; the layers that join two trained branches are trained for `fusion_epochs`.
    """

    name: str
    modality: Needs
    encoder_keys: Mapping[str, str]
    settings: HeadSettings = field(default_factory=lambda: BASELINE)
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
    """Train a branch for each encoder of the modality and, for two branches, the layers that join them.

    Args:
        embeddings: arrays (n, 512) by encoder; rows that are NaN are left out where they are needed.
        truth: (n,) scene indices.
        train_rows: row numbers to train on.
        valid_rows: row numbers on which the best epoch is chosen.
        labels: the scenes.
        plan: name, modality, keys of the encoders and settings.
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
    epochs = _EpochCount(progress, len(encoders) * plan.settings.epochs + (len(encoders) > 1) * plan.fusion_epochs)
    details: dict[str, Any] = asdict(plan.settings)
    branches: list[OpenL3Branch] = []
    for number, name in enumerate(encoders):
        branch, history = _train_branch(
            embeddings[name],
            rows.having({name: embeddings[name]}),
            len(labels),
            replace(plan.settings, seed=plan.settings.seed + number),
            runtime,
            epochs.after(number * plan.settings.epochs),
        )
        branches.append(branch)
        details[name] = _best(history)
    network: nn.Module = branches[0]
    if len(branches) > 1:
        arrays = {name: embeddings[name] for name in encoders}
        settings = replace(plan.settings, epochs=plan.fusion_epochs)
        joined = epochs.after(len(encoders) * plan.settings.epochs)
        network, history = _train_fusion(arrays, rows.having(arrays), branches, len(labels), settings, runtime, joined)
    details |= {**_best(history), "parameters": sum(parameter.numel() for parameter in network.parameters())}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return TrainedModel(part, tensors, details, history)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Scene indices (n,), and row numbers to train and to validate on."""

    truth: IntArray
    train: IntArray
    valid: IntArray

    def having(self, arrays: Mapping[str, FloatArray]) -> "_Rows":
        """Return the rows that have every embedding."""
        present = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in arrays.values()])
        kept = _Rows(self.truth, self.train[present[self.train]], self.valid[present[self.valid]])
        for kind, before, after in (("training", self.train, kept.train), ("validation", self.valid, kept.valid)):
            if len(before) and not len(after):
                raise DataError(f"none of the {len(before)} {kind} rows has embeddings of {', '.join(arrays)}")
        return kept

    def table(self, values: Tensor, runtime: Runtime) -> InMemoryData:
        """Return the data on the device, with `values` (n, size) as the only input."""
        truth, train, valid = (torch.from_numpy(rows.astype(np.int64)) for rows in (self.truth, self.train, self.valid))
        placed = [tensor.to(runtime.device) for tensor in (values, truth, train, valid)]
        return InMemoryData((placed[0],), placed[1], placed[2], placed[3])


@dataclass(frozen=True, slots=True)
class _EpochCount:
    """Progress of several trainings as of one with `total` epochs."""

    progress: Progress | None
    total: int

    def after(self, done: int) -> Progress | None:
        """Return the progress callback of a training that begins after `done` epochs."""
        progress = self.progress
        return None if progress is None else lambda epochs, _: progress(done + epochs, self.total)


def _train_branch(
    embeddings: FloatArray,
    rows: _Rows,
    n_scenes: int,
    settings: HeadSettings,
    runtime: Runtime,
    progress: Progress | None,
) -> tuple[OpenL3Branch, list[dict[str, float]]]:
    with torch.random.fork_rng([]):
        torch.manual_seed(settings.seed)
        branch = OpenL3Branch(n_scenes, embeddings.shape[1])
    _standardise(branch.trunk, embeddings[rows.train])
    table = rows.table(torch.from_numpy(np.require(embeddings, np.float32, ["C", "W"])), runtime)
    history = train_in_memory(branch.to(runtime.device), table, settings, progress)
    return branch, history


def _standardise(trunk: OpenL3Trunk, embeddings: FloatArray) -> None:
    """Set mean and deviation of each channel in the trunk."""
    trunk.mean.copy_(torch.from_numpy(embeddings.mean(axis=0, dtype=np.float64)))
    deviation = embeddings.std(axis=0, dtype=np.float64)
    trunk.deviation.copy_(torch.from_numpy(np.where(deviation > _MIN_DEVIATION, deviation, 1)))


def _train_fusion(
    arrays: Mapping[str, FloatArray],
    rows: _Rows,
    branches: Sequence[OpenL3Branch],
    n_scenes: int,
    settings: HeadSettings,
    runtime: Runtime,
    progress: Progress | None,
) -> tuple[OpenL3Fusion, list[dict[str, float]]]:
    """Train the joint layers; the branches' trunks are frozen, so their outputs are computed once."""
    with torch.random.fork_rng([]):
        torch.manual_seed(settings.seed + len(branches))
        fusion = OpenL3Fusion(n_scenes, tuple(array.shape[1] for array in arrays.values()))
    for trunk, branch in zip(fusion.trunks, branches, strict=True):
        trunk.load_state_dict(branch.trunk.state_dict(), strict=True)
    fusion = fusion.to(runtime.device).train(mode=False)
    with torch.inference_mode():
        placed = [torch.from_numpy(np.asarray(array, np.float32)).to(runtime.device) for array in arrays.values()]
        middle = fusion.middle(*placed).clone()
    history = train_in_memory(fusion.joint, rows.table(middle, runtime), settings, progress)
    return fusion, history


def _best(history: list[dict[str, float]]) -> dict[str, float]:
    best = min(history, key=lambda row: row["valid_log_loss"])
    metrics = {name: best[name] for name in ("valid_log_loss", "valid_accuracy")}
    return {"best_epoch": int(best["epoch"]), **metrics}
