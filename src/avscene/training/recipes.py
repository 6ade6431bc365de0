"""A name of the table to the training of its model: which function, which network, which settings."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import UsageError
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.models.openl3.heads import ENCODERS
from avscene.models.registry import FusionNetworkSystem, NetworkSystem, OpenL3System, find
from avscene.progress import StageProgress
from avscene.records import Backbones, FloatArray, IntArray
from avscene.training.embed import embed_store
from avscene.training.fine_tuning.finetune import finetune
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.heads.fusion_network import FusionPlan, train_fusion_network
from avscene.training.heads.openl3_heads import OpenL3Plan, train_openl3_head
from avscene.training.result import TrainedModel
from avscene.training.split import Split

# Stand-ins are for seeing all of it work, within minutes on two processor cores.
STAND_IN_PLAN = {"epochs": 5, "batch": 32, "micro_batch": 32, "learning_rate": 5e-4, "ema_decay": 0.98}
STAND_IN_SIZES = {"audio": (96, 96), "video": (96, 96)}


@dataclass(frozen=True, slots=True, eq=False)
class TrainingContext:
    """What a training works on: rows of a store for each purpose, which networks, a place for unfinished work."""

    store: SegmentStore
    split: Split
    labels: LabelSet
    backbones: Backbones
    state: Path
    runtime: Runtime
    watch: StageProgress


def train_model(name: str, bench: TrainingContext) -> TrainedModel:
    """Train system `name`, which is of one model.

    Raises:
        UsageError: it is not trained.
        WeightsError: the weights that it starts from are absent.
        DataError: the rows do not do.
    """
    row = find(name)
    if isinstance(row, NetworkSystem):
        return _network(name, row, bench)
    if isinstance(row, FusionNetworkSystem):
        embeddings, keys = _embedded(row.encoders_for(bench.backbones), bench)
        plan = FusionPlan(name, keys)
        return train_fusion_network(embeddings, *_rows(bench), plan, bench.runtime, bench.watch(f"{name}: training"))
    if isinstance(row, OpenL3System):
        embeddings, keys = _embedded(ENCODERS[row.needs], bench)
        head = OpenL3Plan(name, row.needs, keys)
        return train_openl3_head(embeddings, *_rows(bench), head, bench.runtime, bench.watch(f"{name}: training"))
    raise UsageError(f"system {name} is not trained")


def _network(name: str, row: NetworkSystem, bench: TrainingContext) -> TrainedModel:
    assert row.needs != "both"
    settings = dict(row.plan)
    if bench.backbones == "small":
        settings |= STAND_IN_PLAN | {"image_size": STAND_IN_SIZES[row.needs]}
    plan = NetworkPlan(name=name, input=row.needs, backbone=row.backbone_for(bench.backbones), **settings)
    return finetune(
        bench.store,
        bench.split.train,
        bench.split.validation,
        plan,
        bench.labels,
        bench.state,
        bench.runtime,
        bench.watch(f"{name}: training"),
    )


def _rows(bench: TrainingContext) -> tuple[IntArray, IntArray, IntArray, LabelSet]:
    """What every training in memory takes: scene of each row, rows to train and to validate on, the scenes."""
    return bench.store.truth(bench.labels.names), bench.split.train, bench.split.validation, bench.labels


def _embedded(encoders: tuple[str, ...], bench: TrainingContext) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """Embeddings (n, size) of every row of the store and the key, by encoder; what is missing in the store is added.

    In float32 on every machine: a key does not tell of precision.
    """
    store, keys, runtime = bench.store, {}, replace(bench.runtime, dtype=torch.float32)
    for name in encoders:
        encoder = build_encoder(name, runtime)
        store = embed_store(store, name, encoder, bench.watch(f"{name}: embedding"))
        keys[name] = encoder.key
    return {name: store.embeddings(name) for name in encoders}, keys
