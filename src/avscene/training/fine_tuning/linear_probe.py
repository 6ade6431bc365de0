"""Fit the linear probe that fine-tuning begins with, and interpolate between its weights and the fine-tuned ones."""

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
from avscene.training.fine_tuning.batches import VALIDATION_BATCH, CleanBatches
from avscene.training.fine_tuning.readers import InputReader
from avscene.training.heads.linear_heads import RIDGES, feature_scale, ridge_path


def fit_linear_probe(
    network: nn.Module,
    features: FloatArray,
    truth: IntArray,
    n_scenes: int,
    validation: tuple[FloatArray, IntArray] | None,
    ridge: float | None = None,
) -> float:
    """Set the network's classifier to a linear probe of `features` (n, n_features), and return its ridge.

    Probing first keeps training from distorting the features towards an untrained classifier (Kumar et al. 2022,
    "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution").

    Args:
        network: its classifier standardises the features from then on.
        features: of the training rows.
        truth: (n,) scene indices.
        n_scenes: number of scenes.
        validation: features and truth of other rows, on which the ridge of least log loss is chosen.
        ridge: the ridge, if it is not to be chosen.
    """
    heads = dict(zip(RIDGES, ridge_path(features, truth, n_scenes), strict=True))
    if validation is not None:
        rows, scenes = validation
        ridge = min(heads, key=lambda known: log_loss(scenes, heads[known].probabilities(rows)))
    assert ridge is not None
    _set_classifier(network, heads[ridge], features)
    return ridge


@torch.no_grad()
def clean_features(network: Any, reader: InputReader, rows: Sequence[int], runtime: Runtime) -> FloatArray:
    """Return the features (n, n_features) that the network's classifier gets for `rows` without augmentation."""
    batches = CleanBatches(reader, list(batched(rows, VALIDATION_BATCH)))
    return np.concatenate([network.features(batch.to(runtime.device)).double().cpu().numpy() for batch in batches])


@torch.no_grad()
def interpolate_weights(network: nn.Module, start: Mapping[str, Tensor], end: nn.Module) -> None:
    """Set the weights of `network` to the mean of `start` and of those of `end`, which was trained from `start`.

    Wortsman et al. 2022, "Robust Fine-Tuning of Zero-Shot Models" (WiSE-FT): networks between the two are better than
    both, most of all on inputs that are rare in training.
    """
    trained = end.state_dict()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.lerp(start[name].to(tensor.device), trained[name], 0.5))


def _set_classifier(network: nn.Module, head: LinearHead, features: FloatArray) -> None:
    """Set the classifier to `head`, a head on raw features, as the equivalent head on standardised features."""
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
