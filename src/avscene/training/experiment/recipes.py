"""Train the model of a named system: choose the training function, network and settings by the system's row."""

from dataclasses import replace
from typing import Any

import torch

from avscene.errors import UsageError
from avscene.labels import LabelSet
from avscene.models.openl3.heads import ENCODERS
from avscene.models.registry import FusionNetworkSystem, NetworkSystem, OpenL3System, find
from avscene.records import IntArray
from avscene.training.embed import ensure_embeddings
from avscene.training.experiment.definition import Experiment
from avscene.training.fine_tuning.finetune import finetune
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.heads.fusion_network import FusionPlan, train_fusion_network
from avscene.training.heads.openl3_heads import OpenL3Plan, train_openl3_head
from avscene.training.result import TrainedModel

# Stand-ins show that all of it works, within minutes on two processor cores.
STAND_IN_PLAN = {"epochs": 5, "batch": 32, "micro_batch": 32, "learning_rate": 5e-4, "ema_decay": 0.98}
STAND_IN_SIZE = (96, 96)  # of log-mels and of frames, in pixels


def train_model(name: str, experiment: Experiment) -> TrainedModel:
    """Train the one model of system `name` on the training rows of an experiment.

    Raises:
        UsageError: the system is not trained, or not from a store.
        WeightsError: the weights that it starts from are absent.
        DataError: too few rows have its input.
    """
    row, runtime = find(name), experiment.runtime
    progress = experiment.progress(f"{name}: training")
    if isinstance(row, NetworkSystem):
        train, validation = experiment.split.train, experiment.split.validation
        plan, state = _network_plan(row, experiment), experiment.state_path(name)
        return finetune(experiment.store, train, validation, plan, experiment.labels, state, runtime, progress)
    # Embeddings are computed in float32 on every machine: their key does not contain the precision.
    float32 = replace(runtime, dtype=torch.float32)
    if isinstance(row, FusionNetworkSystem):
        encoders = row.encoders_for(experiment.backbones)
        embeddings, keys = ensure_embeddings(experiment.store, encoders, float32, experiment.progress)
        return train_fusion_network(embeddings, *_rows(experiment), FusionPlan(name, keys), runtime, progress)
    if isinstance(row, OpenL3System):
        embeddings, keys = ensure_embeddings(experiment.store, ENCODERS[row.needs], float32, experiment.progress)
        head = OpenL3Plan(name, row.needs, keys)
        return train_openl3_head(embeddings, *_rows(experiment), head, runtime, progress)
    if row.trained:
        raise UsageError(
            f"system {name} is trained from recordings, not from a store: avscene train {name} --data DATA --output DIR"
        )
    raise UsageError(f"system {name} is not trained")


def _network_plan(row: NetworkSystem, experiment: Experiment) -> NetworkPlan:
    assert row.needs != "both"
    settings: dict[str, Any] = dict(row.plan)
    if experiment.backbones == "small":
        settings |= STAND_IN_PLAN | {"image_size": STAND_IN_SIZE}
    backbone = row.backbone_for(experiment.backbones)
    return NetworkPlan(name=row.name, input=row.needs, backbone=backbone, **settings)


def _rows(experiment: Experiment) -> tuple[IntArray, IntArray, IntArray, LabelSet]:
    """What every training in memory takes: scene of each row, rows to train and to validate on, the scenes."""
    return experiment.truth, experiment.split.train, experiment.split.validation, experiment.labels
