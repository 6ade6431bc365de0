"""Resize, crop and normalise frames to the image tensors that an encoder was trained on."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from avscene.records import ByteArray


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """Frame preprocessing of an encoder. It belongs to the encoder's weights and never changes after training.

    `resize` is the shorter side in pixels after scaling, `size` the side of the square centre crop in pixels; `mean`
    and `std` are per RGB channel on the scale [0, 1].
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
    """Return the float tensor (n, 3, size, size) of RGB `images`, each (height, width, 3) uint8 of any size.

    The values are those of torchvision's `resize` (antialiased), `center_crop` and `normalize`. Importing torchvision
    takes longer than importing torch.
    """
    crops = []
    for image in images:
        pixels = torch.from_numpy(image).permute(2, 0, 1)
        if min(pixels.shape[1:]) != spec.resize:
            pixels = _resize(pixels, spec)
        crops.append(_center_crop(pixels, spec.size))
    batch = torch.stack(crops).float().div_(255)
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    return batch.sub_(mean[:, None, None]).div_(std[:, None, None])


def _resize(pixels: Tensor, spec: FrameSpec) -> Tensor:
    """(3, height, width) uint8, the shorter side scaled to `spec.resize`, the longer one rounded down."""
    height, width = pixels.shape[1:]
    longer = spec.resize * max(height, width) // min(height, width)
    size = (spec.resize, longer) if height <= width else (longer, spec.resize)
    # A batch stride of a whole image is how torch recognises that the one image lies in channels-last order.
    batch = pixels[None].as_strided((1, *pixels.shape), (pixels.numel(), *pixels.stride()))
    if spec.interpolation == "bilinear" and not _has_integer_kernel():
        scaled = functional.interpolate(batch.float(), size, mode="bilinear", antialias=True)[0]
        return scaled.round_().to(torch.uint8)
    return functional.interpolate(batch, size, mode=spec.interpolation, antialias=True)[0]


def _has_integer_kernel() -> bool:
    """Whether bilinear resizing of uint8 runs in vectors here; if not, torchvision resizes and rounds float32."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512") or platform.machine() in ("aarch64", "arm64")


def _center_crop(pixels: Tensor, side: int) -> Tensor:
    """(3, side, side): the middle of an image (3, height, width); what it lacks on each side is black."""
    height, width = pixels.shape[1:]
    rows, columns = max(side - height, 0), max(side - width, 0)
    if rows or columns:
        pixels = functional.pad(pixels, (columns // 2, (columns + 1) // 2, rows // 2, (rows + 1) // 2))
    top, left = (round((length - side) / 2) for length in pixels.shape[1:])
    return pixels[:, top : top + side, left : left + side]
