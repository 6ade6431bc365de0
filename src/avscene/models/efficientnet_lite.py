"""EfficientNet-Lite0 with its ImageNet weights, which come as a Python package: the embedded image encoder."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from avscene.errors import WeightsError
from avscene.features.frames import FrameSpec
from avscene.models.device import Runtime
from avscene.models.packaged import EFFICIENTNET_LITE0

FRAMES = FrameSpec(size=224, resize=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic")

# Of the seven blocks, those whose channels an embedding averages besides the head's 1280: later layers, made for
# objects, have dropped the textures that tell how a place sounds.
_BLOCKS = (3, 4, 5, 6)
EMBEDDING_SIZE = 80 + 112 + 192 + 320 + 1280


class EfficientNetLite0(nn.Module):
    """EfficientNet (Tan & Le 2019) without squeeze-and-excitation and with ReLU6, trained on ImageNet-1k."""

    def __init__(self) -> None:
        super().__init__()
        self.net = timm.create_model("tf_efficientnet_lite0", pretrained=False)

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (n, EMBEDDING_SIZE) of images (n, 3, height, width): channel means of late blocks and the head."""
        net: Any = self.net  # timm's modules carry no types
        maps = net.bn1(net.conv_stem(images))
        means = []
        for index, block in enumerate(net.blocks):
            maps = block(maps)
            if index in _BLOCKS:
                means.append(maps.mean((2, 3)))
        means.append(net.bn2(net.conv_head(maps)).mean((2, 3)))
        return torch.cat(means, dim=1)

    def classify(self, images: Tensor) -> Tensor:
        """ImageNet-1k probabilities (n, 1000) of images (n, 3, height, width)."""
        logits: Tensor = self.net(images)
        return logits.float().softmax(dim=1)


@lru_cache(maxsize=2)
def load_efficientnet_lite0(runtime: Runtime) -> EfficientNetLite0:
    """The network with its weights, in evaluation mode; shared by the models of a process.

    Raises:
        WeightsError: the weights are absent, altered or do not fit.
    """
    path = EFFICIENTNET_LITE0.verified()
    model = EfficientNetLite0()
    published = torch.load(path, map_location="cpu", weights_only=True)
    model.net.load_state_dict(_renamed(published, model.net.state_dict()), strict=True)
    model.eval().requires_grad_(requires_grad=False)
    return model.to(runtime.device, runtime.dtype).to(memory_format=torch.channels_last)


def _renamed(published: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors under timm's names: both list the same layers in the same order."""
    if [tensor.shape for tensor in published.values()] != [tensor.shape for tensor in ours.values()]:
        raise WeightsError("EfficientNet-Lite0: the published tensors do not fit this timm; run: avscene doctor")
    return dict(zip(ours, published.values(), strict=True))
