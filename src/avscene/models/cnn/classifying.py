"""Run a trained network once for its probabilities and for features that show how familiar its inputs are."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from avscene.models.cnn.block_network import BlockNetwork
from avscene.models.cnn.split_attention import use_fast_split_attention
from avscene.models.device import Runtime
from avscene.models.inference import Inference

# Of timm's five stages, the features are those of the last but one. Fine-tuning reduces what comes after it to the
# differences between the scenes of training, where other scenes look like one of these (benchmarks/familiarity.md).
_STAGE = -2


class ClassifyingNetwork:
    """A trained network, changed in place for inference; it maps rows of inputs to probabilities and features.

    `example` holds inputs of one row; `inference` runs the network.
    """

    def __init__(self, network: nn.Module, example: Sequence[Tensor], runtime: Runtime) -> None:
        self._n_features = feature_size(network)
        use_fast_split_attention(network)
        self.inference = Inference(_LogitsAndFeatures(network), example, runtime)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities (n, n_scenes) and features (n, n_features) of inputs (n, ...), on the CPU."""
        logits, features = self.inference(*inputs).tensor_split([-self._n_features], dim=1)
        return logits.double().softmax(dim=1), features


def feature_size(network: Any) -> int:
    """Return the number of features of a timm network or a BlockNetwork."""
    if isinstance(network, BlockNetwork):
        return network.classifier.in_features
    return int(network.feature_info[_STAGE]["num_chs"])


class _LogitsAndFeatures(nn.Module):
    """Return logits and features side by side (n, n_scenes + n_features); the network runs once."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        network: Any = self.network  # timm's methods have no static types
        if isinstance(network, BlockNetwork):
            features = network.features(*inputs)
            return torch.cat([network.classify(features), features], dim=1)
        last, stages = network.forward_intermediates(*inputs, indices=[_STAGE])
        return torch.cat([network.forward_head(last), stages[0].mean(dim=(2, 3))], dim=1)
