"""Frames to a tensor: resize, centre crop and normalise as the encoder was trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from avscene.records import ByteArray


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """How an encoder wants its images. It belongs to the encoder's weights and never changes after them.

    `resize` is the shorter side in pixels after scaling, `size` the side of the square centre crop; `mean` and `std`
    are per RGB channel on the scale [0, 1].
    """

    size: int
    resize: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    @property
    def blank(self) -> Tensor:
        """One image (1, 3, size, size) of zeros."""
        return torch.zeros(1, 3, self.size, self.size)


def frames_to_tensor(images: Sequence[ByteArray], spec: FrameSpec) -> Tensor:
    """Float tensor (n, 3, size, size) of RGB `images`, each (height, width, 3) uint8, which may differ in size."""
    mode = transforms.InterpolationMode(spec.interpolation)
    crops = []
    for image in images:
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        if min(pixels.shape[1:]) != spec.resize:
            pixels = transforms.resize(pixels, [spec.resize], interpolation=mode, antialias=True)
        crops.append(transforms.center_crop(pixels, [spec.size, spec.size]))
    batch = torch.stack(crops).float().div_(255)
    normalised: Tensor = transforms.normalize(batch, list(spec.mean), list(spec.std), inplace=True)
    return normalised
