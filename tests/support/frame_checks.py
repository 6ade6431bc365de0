"""Compare frame preprocessing with that of torchvision."""

import numpy as np
import torch
from torchvision.transforms.v2 import functional as transforms

from avscene.features.frames import FrameSpec, frames_to_tensor

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CROPPED = FrameSpec(224, 256, *IMAGENET)
BILINEAR = FrameSpec(96, 110, *IMAGENET, interpolation="bilinear")
SIZES = [(300, 400), (400, 300), (1080, 1920), (257, 256), (256, 700), (256, 256), (31, 47), (5, 9), (224, 224)]


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return smooth waves with edges and some noise, uint8 (height, width, 3)."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    random = np.random.default_rng(seed)
    waves = [np.sin(12 * x + 3 * y + c) * np.cos(7 * y - c) + 0.6 * ((x > 0.4 + 0.1 * c) & (y > 0.3)) for c in range(3)]
    pixels = 110 + 70 * np.stack(waves, axis=2) + random.normal(0, 6, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def by_torchvision(image: np.ndarray, spec: FrameSpec) -> torch.Tensor:
    """(3, size, size): torchvision's resize, center_crop and normalize, which round to uint8 between them."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    mode = transforms.InterpolationMode(spec.interpolation)
    scaled = transforms.resize(pixels, [spec.resize], interpolation=mode, antialias=True)
    crop = transforms.center_crop(scaled, [spec.size, spec.size])
    return transforms.normalize(crop / 255, list(spec.mean), list(spec.std))


def assert_equals_torchvision(image: np.ndarray, spec: FrameSpec) -> None:
    torch.testing.assert_close(frames_to_tensor([image], spec)[0], by_torchvision(image, spec), rtol=0, atol=1e-6)
