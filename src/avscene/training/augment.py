"""Augment waveforms, log-mels and frames at random.

Every function draws from the generator that it is given and changes nothing in place.
"""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as transforms

from avscene.features.logmel import LogMelSpec
from avscene.records import FloatArray

ASPECT = (3 / 4, 4 / 3)  # least and greatest ratio of width to height of a crop
RAND_AUGMENT_OPERATIONS = 2
MIN_CUTOFF, MAX_CUTOFF = 3_500.0, 20_000.0  # Hz: from telephones to codecs at high rates
_TRIES = 10  # to find a crop that fits into the image


def time_shift(waveform: FloatArray, share: float, random: np.random.Generator) -> FloatArray:
    """Rotate `waveform` (n,) by up to `share` of its length in either direction."""
    max_shift = int(share * len(waveform))
    return np.roll(waveform, int(random.integers(-max_shift, max_shift + 1)))


def gain(waveform: FloatArray, max_gain: float, random: np.random.Generator) -> FloatArray:
    """Amplify or attenuate `waveform` (n,) by up to `max_gain` dB; the result may leave [-1, 1]."""
    return waveform * np.float32(10 ** (random.uniform(-max_gain, max_gain) / 20))


def crop(waveform: FloatArray, length: int, random: np.random.Generator) -> FloatArray:
    """Return `length` samples from anywhere in `waveform` (n,), which has at least as many."""
    start = int(random.integers(0, len(waveform) - length + 1))
    return waveform[start : start + length]


def mask(mels: Tensor, axis: int, max_width: int, level: Tensor, random: np.random.Generator) -> Tensor:
    """Set up to `max_width` neighbours along `axis` of `mels` (n_mels, n_times) to `level` (n_mels,): SpecAugment."""
    length = mels.shape[axis]
    width = int(random.integers(0, min(max_width, length) + 1))
    start = int(random.integers(0, length - width + 1))
    masked = torch.zeros(length, dtype=torch.bool)
    masked[start : start + width] = True
    return torch.where(masked[:, None] if axis == 0 else masked, level[:, None], mels)


def limit_band(mels: Tensor, spec: LogMelSpec, probability: float, random: np.random.Generator) -> Tensor:
    """Remove, with `probability`, all above a random frequency from `mels` (n_mels, n_times) in dB.

    What a low sample rate or a codec at a low bit rate leaves. Logarithms of the frequency are drawn evenly.
    """
    if not probability or random.random() >= probability:
        return mels
    cutoff = np.exp(random.uniform(np.log(MIN_CUTOFF), np.log(MAX_CUTOFF)))
    return torch.where((spec.centres > cutoff)[:, None], spec.floor_db, mels)


def change_level(mels: Tensor, spec: LogMelSpec, max_gain: float, random: np.random.Generator) -> Tensor:
    """Amplify or attenuate `mels` (n_mels, n_times) by up to `max_gain` dB."""
    return (mels + random.uniform(-max_gain, max_gain)).clamp_min(spec.floor_db)


def resized_crop(
    image: Tensor, size: int, scale: tuple[float, float], mode: str, random: np.random.Generator
) -> Tensor:
    """Crop a share of the area within `scale` from `image` (3, height, width) uint8, resized to (3, size, size).

    The crop of Inception, with torchvision's limits of the aspect; the whole image if none fits in ten tries.
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
    """Mirror `image` (3, height, width) left to right with `probability`."""
    return image.flip(2) if random.random() < probability else image


def rand_augment(image: Tensor, magnitude: int, random: np.random.Generator) -> Tensor:
    """Apply two operations of RandAugment (Cubuk et al. 2020) of `magnitude` of 30 to `image` (3, height, width)."""
    transform = v2.RandAugment(RAND_AUGMENT_OPERATIONS, magnitude)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's one generator
        torch.manual_seed(int(random.integers(2**63)))
        augmented: Tensor = transform(image)
    return augmented


def mixup(inputs: Tensor, targets: Tensor, alpha: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mix each of `inputs` (n, ...) with another of the batch, and its `targets` (n, n_scenes) in the same share.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization": shares are Beta(`alpha`, `alpha`), one per input.
    """
    count = len(inputs)
    shares = random.beta(alpha, alpha, count).astype(np.float32)
    partners = torch.from_numpy(random.permutation(count)).to(inputs.device)
    own = torch.from_numpy(shares).to(inputs.device)
    column = own.reshape(-1, *[1] * (inputs.dim() - 1))
    mixed = column * inputs + (1 - column) * inputs[partners]
    return mixed, own[:, None] * targets + (1 - own[:, None]) * targets[partners]
