"""Compute embeddings of log-mels or frames with OpenL3's two networks.

Cramer et al., "Look, Listen and Learn More: Design Choices for Deep Audio Embeddings", ICASSP 2019. Both have the
same eight convolutions; they differ in the input and, in the image network, in one ReLU that precedes the batch norm.
"""

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

Branch = Literal["audio", "image"]

WIDTHS = (64, 64, 128, 128, 256, 256, 512, 512)  # output channels of each 3x3 convolution
CHANNELS: dict[Branch, int] = {"audio": 1, "image": 3}
# Height and width of the last max pooling, by the length of the resulting embedding.
POOLING: dict[Branch, dict[int, tuple[int, int]]] = {
    "audio": {512: (32, 24), 6144: (8, 8)},
    "image": {512: (28, 28), 8192: (7, 7)},
}
_EPSILON = 1e-3  # Keras adds it to the variance where torch adds 1e-5
_POOL_AFTER = (1, 3, 5)  # convolutions followed by a 2x2 max pooling
_RELU_FIRST: dict[Branch, tuple[int, ...]] = {"audio": (), "image": (1,)}  # convolutions whose ReLU precedes the norm


class OpenL3Network(nn.Module):
    """Images (n, channels, height, width) to embeddings (n, embedding_size).

    Args:
        branch: audio takes log-mels (1 channel, 256 mel bands from low to high, 199 times), image takes RGB (224, 224).
        embedding_size: one of `POOLING[branch]`; values are in the order of Keras, channels last.
    """

    def __init__(self, branch: Branch, embedding_size: int = 512) -> None:
        super().__init__()
        self.branch = branch
        self.embedding_size = embedding_size
        inputs = (CHANNELS[branch], *WIDTHS[:-1])
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, eps=_EPSILON) for channels in inputs)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, padding=1) for before, after in zip(inputs, WIDTHS, strict=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (n, embedding_size)."""
        pooled = functional.max_pool2d(self.features(images), POOLING[self.branch][self.embedding_size])
        return pooled.permute(0, 2, 3, 1).flatten(1)

    def features(self, images: Tensor) -> Tensor:
        """Return the output of the last convolution (n, 512, height / 8, width / 8), sizes rounded down."""
        values: Tensor = self.norms[0](images)
        last = len(WIDTHS) - 1
        for index, convolution in enumerate(self.convolutions):
            values = convolution(values)
            if index == last:
                break
            norm = self.norms[index + 1]
            relu_first = index in _RELU_FIRST[self.branch]
            values = norm(values.relu()) if relu_first else norm(values).relu()
            if index in _POOL_AFTER:
                values = functional.max_pool2d(values, 2)
        return values


def keras_layers(branch: Branch) -> list[dict[str, tuple[int, ...]]]:
    """Return the shapes of the weights of each Keras layer that has any, by their Keras names, in network order."""
    layers: list[dict[str, tuple[int, ...]]] = []
    before = CHANNELS[branch]
    for after in WIDTHS:
        layers.append(dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (before,)))
        layers.append({"kernel": (3, 3, before, after), "bias": (after,)})
        before = after
    return layers


_TORCH_NAMES = {
    "gamma": "norms.{}.weight",
    "beta": "norms.{}.bias",
    "moving_mean": "norms.{}.running_mean",
    "moving_variance": "norms.{}.running_var",
    "kernel": "convolutions.{}.weight",
    "bias": "convolutions.{}.bias",
}


def torch_name(layer: int, weight: str) -> str:
    """Return torch's name of `weight` in the `layer`-th of `keras_layers`."""
    return _TORCH_NAMES[weight].format(layer // 2)


def n_weights(branch: Branch) -> int:
    """Return the number of values in the published file of a branch."""
    return sum(math.prod(shape) for layer in keras_layers(branch) for shape in layer.values())
