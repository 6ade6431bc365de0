"""Plain rows of a store to the classifier that fine-tuning begins with: a linear probe of the network as it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avscene.evaluation.metrics import log_loss
from avscene.inference import batched
from avscene.models.cnn.audio_cnn import LogMelNetwork
from avscene.models.cnn.block_network import BlockNetwork
from avscene.models.device import Runtime
from avscene.models.linear_heads import LinearHead
from avscene.records import FloatArray, IntArray
from avscene.training.fine_tuning.batches import VALIDATION_BATCH, PlainBatches
from avscene.training.fine_tuning.readers import InputReader
from avscene.training.heads.linear_heads import RIDGES, feature_scale, ridge_path


def fit_probe(
    network: nn.Module,
    features: FloatArray,
    truth: IntArray,
    n_scenes: int,
    held: tuple[FloatArray, IntArray] | None,
    ridge: float | None = None,
) -> float:
    """Make the network's classifier a linear probe of `features` (n, n_features), which it then standardises.

    `truth` (n,) are scene indices. The ridge is that of least log loss on `held`, features and truth of other rows,
    where `ridge` is not given; it is returned. Probing first keeps the features from being bent to a classifier that
    knows nothing (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution").
    """
    heads = dict(zip(RIDGES, ridge_path(features, truth, n_scenes), strict=True))
    if held is not None:
        ridge = min(heads, key=lambda known: log_loss(held[1], heads[known].probabilities(held[0])))
    assert ridge is not None
    _install(network, heads[ridge], features)
    return ridge


@torch.no_grad()
def plain_features(network: Any, reader: InputReader, rows: Sequence[int], runtime: Runtime) -> FloatArray:
    """What the network's classifier is given of `rows` as they are (n, n_features)."""
    batches = PlainBatches(reader, list(batched(rows, VALIDATION_BATCH)))
    return np.concatenate([network.features(batch.to(runtime.device)).double().cpu().numpy() for batch in batches])


@torch.no_grad()
def interpolate_weights(network: nn.Module, start: Mapping[str, Tensor], end: nn.Module) -> None:
    """Give `network` the mean of the weights `start` and those of `end`, which was trained from there.

    Wortsman et al. 2022, "Robust Fine-Tuning of Zero-Shot Models" (WiSE-FT): on the line between them there are
    networks that are better than both, most of all on what training had little of.
    """
    trained = end.state_dict()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.lerp(start[name].to(tensor.device), trained[name], 0.5))


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
