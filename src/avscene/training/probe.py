"""Plain rows of a store to the classifier that fine-tuning begins with: a linear probe of the network as it is."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avscene.evaluation.metrics import log_loss
from avscene.fusion.ensemble import IntArray
from avscene.models.audio_cnn import LogMelNetwork
from avscene.models.block_network import BlockNetwork
from avscene.models.device import Runtime
from avscene.models.frozen import LinearHead
from avscene.records import FloatArray
from avscene.training.heads import feature_scale, ridge_path

PROBE_BATCH = 32


def start_from_probe(
    network: nn.Module,
    learnt: tuple[Iterable[Tensor], IntArray],
    judged: tuple[Iterable[Tensor], IntArray],
    n_scenes: int,
    runtime: Runtime,
) -> None:
    """Make the network's classifier a ridge-regularised linear probe, and its features standardised.

    `learnt` and `judged` are batches of inputs and the scene (n,) of every row: the ridge of least log loss on the
    latter is taken. Probing first keeps the features from being bent to a classifier that knows nothing (Kumar et al.
    2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").
    """
    features, truth = _features(network, learnt[0], runtime), learnt[1]
    held = _features(network, judged[0], runtime)
    heads = ridge_path(features, truth, n_scenes)
    _install(network, min(heads, key=lambda head: log_loss(judged[1], head.probabilities(held))), features)


@torch.no_grad()
def go_half_way(network: nn.Module, start: Mapping[str, Tensor], end: nn.Module) -> None:
    """Give `network` the mean of the weights `start` and those of `end`, which was trained from there.

    Wortsman et al. 2022, "Robust Fine-Tuning of Zero-Shot Models" (WiSE-FT): on the line between them there are
    networks that are better than both, most of all on what training had little of.
    """
    trained = end.state_dict()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.lerp(start[name].to(tensor.device), trained[name], 0.5))


@torch.no_grad()
def _features(network: Any, inputs: Iterable[Tensor], runtime: Runtime) -> FloatArray:
    """(n, n_features) of all batches."""
    parts = [network.features(batch.to(runtime.device)).double().cpu().numpy() for batch in inputs]
    return np.concatenate(parts)


def _install(network: nn.Module, head: LinearHead, features: FloatArray) -> None:
    """Put in a head on plain features as one on standardised ones, which is what it computes already."""
    backbone = network.backbone if isinstance(network, LogMelNetwork) else network
    assert isinstance(backbone, BlockNetwork)
    center, scale = features.mean(0), feature_scale(features)
    values = {
        backbone.center: center,
        backbone.scale: scale,
        backbone.classifier.weight: (head.weight * scale[:, None]).T,
        backbone.classifier.bias: head.bias + center @ head.weight,
    }
    with torch.no_grad():
        for tensor, value in values.items():
            tensor.copy_(torch.from_numpy(value))
