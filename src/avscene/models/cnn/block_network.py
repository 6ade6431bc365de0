"""Images in, logits out: a linear classifier on what several blocks of EfficientNet-Lite see, not the last alone."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from avscene.models.efficientnet_lite import EfficientNetLite, imagenet_state
from avscene.models.weights.strict import fill

TRUNK = "trunk.net."


class BlockNetwork(nn.Module):
    """The embedding of `EfficientNetLite`, standardised, under one linear layer.

    `n_extra` further features (n, n_extra) may be given with the images. `center` and `scale` (n_features,) standardise
    all of them.
    """

    pretrained_cfg: ClassVar = {"classifier": "classifier"}  # as timm's networks name the layer that new scenes replace

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
        """Features (n, n_features), as they are, of images (n, 3, height, width)."""
        embedding: Tensor = self.trunk(images)
        return embedding if extra is None else torch.cat([embedding, extra.to(embedding.dtype)], dim=1)

    def forward(self, images: Tensor, extra: Tensor | None = None) -> Tensor:
        """Logits (n, n_classes) of images (n, 3, height, width)."""
        logits: Tensor = self.classifier((self.features(images, extra) - self.center) / self.scale)
        return logits


def create_block_network(architecture: str, n_classes: int, n_extra: int = 0) -> BlockNetwork:
    """The network with its ImageNet weights, float32, on the CPU; its classifier is all zeros.

    Raises:
        UsageError: no such network.
        WeightsError: the weights are absent, altered or do not fit.
    """
    network = blank_block_network(architecture, n_classes, n_extra)
    published = {f"{TRUNK}{name}": tensor for name, tensor in imagenet_state(architecture).items()}
    blank = network.state_dict()
    trunk = {name: published[name] for name in blank if name.startswith(TRUNK)}
    rest = {name: torch.zeros(tensor.shape) for name, tensor in blank.items() if name not in trunk}
    fill(network, {**trunk, **rest, "scale": torch.ones_like(rest["scale"])})
    return network


def blank_block_network(architecture: str, n_classes: int, n_extra: int = 0) -> BlockNetwork:
    """The network without any weights: it computes nothing until `strict.fill` has given it all of them.

    Raises:
        UsageError: no such network.
    """
    with torch.device("meta"):
        return BlockNetwork(architecture, n_classes, n_extra)
