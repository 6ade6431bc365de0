"""Classify images linearly by the embedding of EfficientNet-Lite, which averages the outputs of several blocks."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from avscene.models.efficientnet_lite import EfficientNetLite, imagenet_state
from avscene.models.weights.strict import fill

TRUNK = "trunk.net."


class BlockNetwork(nn.Module):
    """One linear layer on the standardised embedding of `EfficientNetLite`.

    `n_extra` further features (n, n_extra) can be given with the images. `center` and `scale` (n_features,) standardise
    all features.
    """

    pretrained_cfg: ClassVar = {"classifier": "classifier"}  # timm's name of the layer that is replaced for new scenes

    center: Tensor
    scale: Tensor

    def __init__(self, architecture: str, n_classes: int, n_extra: int = 0) -> None:
        super().__init__()
        self.trunk = EfficientNetLite(architecture)
        self.trunk.net.classifier = nn.Identity()
        n_features = self.trunk.embedding_size + n_extra
        self.register_buffer("center", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.classifier = nn.Linear(n_features, n_classes)

    def features(self, images: Tensor, extra: Tensor | None = None) -> Tensor:
        """Return features (n, n_features), not standardised, of images (n, 3, height, width)."""
        embedding: Tensor = self.trunk(images)
        return embedding if extra is None else torch.cat([embedding, extra.to(embedding.dtype)], dim=1)

    def forward(self, images: Tensor, extra: Tensor | None = None) -> Tensor:
        """Return logits (n, n_classes) of images (n, 3, height, width)."""
        return self.classify(self.features(images, extra))

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (n, n_classes) of features (n, n_features), which are not standardised."""
        logits: Tensor = self.classifier((features - self.center) / self.scale)
        return logits


def create_block_network(architecture: str, n_classes: int, n_extra: int = 0) -> BlockNetwork:
    """Load the network with its ImageNet weights: float32, on the CPU, with a classifier of zeros.

    Raises:
        UsageError: there is no such network.
        WeightsError: the weights are absent, were changed or do not fit.
    """
    network = blank_block_network(architecture, n_classes, n_extra)
    published = {f"{TRUNK}{name}": tensor for name, tensor in imagenet_state(architecture).items()}
    blank = network.state_dict()
    trunk = {name: published[name] for name in blank if name.startswith(TRUNK)}
    rest = {name: torch.zeros(tensor.shape) for name, tensor in blank.items() if name not in trunk}
    fill(network, {**trunk, **rest, "scale": torch.ones_like(rest["scale"])})
    return network


def blank_block_network(architecture: str, n_classes: int, n_extra: int = 0) -> BlockNetwork:
    """Build the network without weights, on the device `meta`; `strict.fill` must set them.

    Raises:
        UsageError: there is no such network.
    """
    with torch.device("meta"):
        return BlockNetwork(architecture, n_classes, n_extra)
