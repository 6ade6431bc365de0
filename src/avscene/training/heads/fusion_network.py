"""Train the paper's late fusion network (C04) on embeddings of frozen encoders."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from torch import Tensor

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.fusion_network import FusionNetwork, FusionNetworkPart
from avscene.progress import Progress
from avscene.records import FloatArray, IntArray
from avscene.training.heads.in_memory import HeadSettings, InMemoryData, train_in_memory
from avscene.training.result import TrainedModel


@dataclass(frozen=True, slots=True)
class FusionPlan:
    """What to train: the model's `name`, the `encoder_keys` of the embeddings by encoder, and the settings."""

    name: str
    encoder_keys: Mapping[str, str]
    settings: HeadSettings = field(default_factory=HeadSettings)


def train_fusion_network(
    embeddings: Mapping[str, FloatArray],
    truth: IntArray,
    train_rows: IntArray,
    valid_rows: IntArray,
    labels: LabelSet,
    plan: FusionPlan,
    runtime: Runtime,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train a network with a branch for each of `embeddings`, arrays (n, size) by encoder, in that order.

    Args:
        embeddings: by encoder; rows that are NaN in any of them are left out.
        truth: (n,) scene indices.
        train_rows: row numbers to train on.
        valid_rows: row numbers on which the best epoch is chosen.
        labels: the scenes.
        plan: name, keys of the encoders and settings.
        runtime: the device; the network is trained in float32.
        progress: called with epochs done and epochs in all.

    Raises:
        DataError: too few rows have every embedding.
    """
    arrays = list(embeddings.values())
    present = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in arrays])
    train, valid = (np.asarray(rows)[present[np.asarray(rows)]] for rows in (train_rows, valid_rows))
    for kind, rows, found in (("training", train_rows, train), ("validation", valid_rows, valid)):
        if len(rows) and not len(found):
            raise DataError(f"none of the {len(rows)} {kind} rows has embeddings of {', '.join(embeddings)}")
    table = _table(arrays, truth, train, valid, runtime)
    part = FusionNetworkPart(
        name=plan.name,
        encoders=tuple(embeddings),
        sizes=tuple(array.shape[1] for array in arrays),
        encoder_keys=tuple(plan.encoder_keys[name] for name in embeddings),
    )
    network = initial_fusion_network(part.sizes, len(labels), plan.settings.seed).to(runtime.device)
    history = train_in_memory(network, table, plan.settings, progress)
    best = min(history, key=lambda row: row["valid_log_loss"])
    details = {
        **asdict(plan.settings),
        "batch_size": plan.settings.batch_of(len(train)),
        "training_rows": len(train),
        "validation_rows": len(valid),
        "rows_without_embeddings": len(train_rows) + len(valid_rows) - len(train) - len(valid),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "best_epoch": int(best["epoch"]),
        "valid_log_loss": best["valid_log_loss"],
        "valid_accuracy": best["valid_accuracy"],
    }
    return TrainedModel(part, _tensors(network), details, history)


def initial_fusion_network(sizes: tuple[int, ...], n_scenes: int, seed: int) -> FusionNetwork:
    """Return an untrained network, the same for the same seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return FusionNetwork(sizes, n_scenes)


def _table(
    arrays: list[FloatArray], truth: IntArray, train: IntArray, valid: IntArray, runtime: Runtime
) -> InMemoryData:
    """Return the data on the device; without a copy on the CPU."""
    inputs = tuple(torch.from_numpy(np.require(array, np.float32, ["C", "W"])).to(runtime.device) for array in arrays)
    targets, train_rows, valid_rows = (
        torch.from_numpy(np.asarray(rows, np.int64)).to(runtime.device) for rows in (truth, train, valid)
    )
    return InMemoryData(inputs, targets, train_rows, valid_rows)


def _tensors(network: FusionNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
