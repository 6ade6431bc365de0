"""Frame preprocessing equals that of PIL and torchvision for images of any shape."""

import os
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.models.efficientnet_lite import FRAMES
from tests.support.frame_checks import BILINEAR, CROPPED, IMAGENET, SIZES, assert_equals_torchvision, photo
from tests.support.processes import ROOT


def by_pil(image: np.ndarray, spec: FrameSpec) -> np.ndarray:
    """(3, size, size): Resize, CenterCrop, ToTensor and Normalize written out for PIL images."""
    height, width = image.shape[:2]
    if height < width:
        size = (int(spec.resize * width / height), spec.resize)
    else:
        size = (spec.resize, int(spec.resize * height / width))
    kind = Image.Resampling.BICUBIC if spec.interpolation == "bicubic" else Image.Resampling.BILINEAR
    scaled = np.asarray(Image.fromarray(image).resize(size, kind))
    top, left = (round((side - spec.size) / 2) for side in scaled.shape[:2])
    crop = scaled[top : top + spec.size, left : left + spec.size]
    return ((crop / 255 - spec.mean) / spec.std).transpose(2, 0, 1)


@pytest.mark.parametrize("spec", [FRAMES, CROPPED, BILINEAR], ids=["of the encoder", "cropped", "bilinear"])
@pytest.mark.parametrize("size", SIZES)
def test_photographs_equal_those_of_torchvision(size: tuple[int, int], spec: FrameSpec) -> None:
    assert_equals_torchvision(photo(*size), spec)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    resize=st.integers(1, 300),
    size=st.integers(1, 300),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_up_or_down_equals_that_of_torchvision(
    height: int, width: int, resize: int, size: int, interpolation: Literal["bicubic", "bilinear"], seed: int
) -> None:
    if resize * max(height, width) > 5000 * min(height, width):
        width = height
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert_equals_torchvision(image, FrameSpec(size, resize, *IMAGENET, interpolation=interpolation))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_part_of_an_array_equals_that_of_torchvision(interpolation: Literal["bicubic", "bilinear"]) -> None:
    part = photo(300, 400)[17::2, 31:355]
    assert_equals_torchvision(part, FrameSpec(96, 110, *IMAGENET, interpolation=interpolation))


def test_values_equal_those_of_torchvision_without_vector_instructions() -> None:
    code = (
        "from tests.support.frame_checks import BILINEAR, CROPPED, SIZES, assert_equals_torchvision, photo\n"
        "for spec in (BILINEAR, CROPPED):\n"
        "    for size in SIZES:\n"
        "        assert_equals_torchvision(photo(*size), spec)\n"
    )
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": "default"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=ROOT)


@pytest.mark.parametrize("spec", [FRAMES, CROPPED, BILINEAR], ids=["of the encoder", "cropped", "bilinear"])
@pytest.mark.parametrize("size", SIZES)
def test_agrees_with_pil(size: tuple[int, int], spec: FrameSpec) -> None:
    image = photo(*size)
    ours = frames_to_tensor([image], spec)[0].numpy()
    error = np.abs(ours - by_pil(image, spec)) * np.array(spec.std)[:, None, None] * 255  # in grey levels
    assert ours.shape == (3, spec.size, spec.size)
    assert error.max() <= 3
    assert error.mean() <= 0.3


def test_frame_of_the_right_size_is_only_normalised() -> None:
    image = photo(224, 224)
    ours = frames_to_tensor([image], FRAMES)[0]
    expected = (torch.from_numpy(image).permute(2, 0, 1) / 255 - 0.5) / 0.5
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6)


def test_middle_is_cropped_and_channels_keep_their_order() -> None:
    image = np.zeros((224, 424, 3), np.uint8)
    image[:, 100:324] = (255, 128, 0)  # the middle square; black to its sides
    crop = frames_to_tensor([image], FRAMES)[0]
    expected = torch.tensor([1.0, 2 * 128 / 255 - 1, -1.0])
    torch.testing.assert_close(crop, expected[:, None, None].expand(3, 224, 224))


def test_frames_of_different_sizes_make_one_batch_in_order() -> None:
    images = [photo(*size, seed=seed) for seed, size in enumerate(SIZES)]
    batch = frames_to_tensor(images, CROPPED)
    assert batch.shape == (len(images), 3, 224, 224)
    assert batch.dtype == torch.float32
    for row, image in zip(batch, images, strict=True):
        assert torch.equal(row, frames_to_tensor([image], CROPPED)[0])


@pytest.mark.parametrize("size", [(224, 224), (100, 300)])
def test_array_of_the_caller_is_not_changed(size: tuple[int, int]) -> None:
    image = photo(*size)
    before = image.copy()
    frames_to_tensor([image], FRAMES).zero_()
    np.testing.assert_array_equal(image, before)
