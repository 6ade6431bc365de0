"""Varied inputs from plain ones. Every function draws from the generator it is given and changes nothing in place."""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as transforms

from avscene.records import FloatArray

ASPECT = (3 / 4, 4 / 3)  # width to height of a crop, at least and at most
RAND_AUGMENT_OPERATIONS = 2
_TRIES = 10  # at a crop that fits the image


def time_shift(waveform: FloatArray, share: float, random: np.random.Generator) -> FloatArray:
    """`waveform` (n,) turned round by up to `share` of its length, either way."""
    most = int(share * len(waveform))
    return np.roll(waveform, int(random.integers(-most, most + 1)))


def gain(waveform: FloatArray, most: float, random: np.random.Generator) -> FloatArray:
    """`waveform` (n,) louder or softer by up to `most` dB; it may leave [-1, 1]."""
    return waveform * np.float32(10 ** (random.uniform(-most, most) / 20))


def crop(stretch: FloatArray, length: int, random: np.random.Generator) -> FloatArray:
    """`length` samples from anywhere in `stretch` (n,), which has at least as many."""
    start = int(random.integers(0, len(stretch) - length + 1))
    return stretch[start : start + length]


def hide(mels: Tensor, axis: int, widest: int, level: Tensor, random: np.random.Generator) -> Tensor:
    """SpecAugment's mask: `mels` (n_mels, n_times) with up to `widest` neighbours along `axis` at `level` (n_mels,)."""
    length = mels.shape[axis]
    width = int(random.integers(0, min(widest, length) + 1))
    start = int(random.integers(0, length - width + 1))
    hidden = torch.zeros(length, dtype=torch.bool)
    hidden[start : start + width] = True
    return torch.where(hidden[:, None] if axis == 0 else hidden, level[:, None], mels)


def resized_crop(
    image: Tensor, size: int, scale: tuple[float, float], mode: str, random: np.random.Generator
) -> Tensor:
    """A crop of `image` (3, height, width) uint8 that covers a share of its area within `scale`, as (3, size, size).

    "Inception's" crop, with torchvision's limits of the aspect; where none fits in ten draws, the whole image.
    """
    height, width = image.shape[1:]
    top, left, tall, wide = 0, 0, height, width
    for _ in range(_TRIES):
        area = height * width * random.uniform(min(scale), max(scale))
        aspect = np.exp(random.uniform(np.log(ASPECT[0]), np.log(ASPECT[1])))
        w, h = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(random.integers(0, height - h + 1)), int(random.integers(0, width - w + 1))
            tall, wide = h, w
            break
    interpolation = transforms.InterpolationMode(mode)
    crop: Tensor = transforms.resized_crop(image, top, left, tall, wide, [size, size], interpolation, antialias=True)
    return crop


def flip(image: Tensor, probability: float, random: np.random.Generator) -> Tensor:
    """`image` (3, height, width), mirrored left to right with `probability`."""
    return image.flip(2) if random.random() < probability else image


def rand_augment(image: Tensor, magnitude: int, random: np.random.Generator) -> Tensor:
    """`image` (3, height, width) uint8 after two operations of RandAugment (Cubuk et al. 2020) at `magnitude` of 30."""
    transform = v2.RandAugment(RAND_AUGMENT_OPERATIONS, magnitude)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's one generator
        torch.manual_seed(int(random.integers(2**63)))
        varied: Tensor = transform(image)
    return varied


def mixup(inputs: Tensor, targets: Tensor, alpha: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Each of `inputs` (n, ...) mixed with a partner from the batch, and `targets` (n, n_scenes) in the same share.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization": shares are Beta(`alpha`, `alpha`), one an input.
    """
    count = len(inputs)
    shares = random.beta(alpha, alpha, count).astype(np.float32)
    partners = torch.from_numpy(random.permutation(count)).to(inputs.device)
    own = torch.from_numpy(shares).to(inputs.device)
    column = own.reshape(-1, *[1] * (inputs.dim() - 1))
    mixed = column * inputs + (1 - column) * inputs[partners]
    return mixed, own[:, None] * targets + (1 - own[:, None]) * targets[partners]
