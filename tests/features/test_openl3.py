"""Test the preprocessing of OpenL3's inputs against kapre's and openl3's formulas."""

import numpy as np
import pytest
import torch

from avscene.features.openl3 import N_MELS, mel_filters, one_second_windows, openl3_crops, openl3_log_mels
from tests.support.kapre import RATE, kapre_mel, waveforms


@pytest.mark.parametrize("name", list(waveforms()))
def test_log_mels_are_kapres(name: str) -> None:
    window = waveforms()[name].astype(np.float32)
    found = openl3_log_mels(torch.from_numpy(window[None]))
    assert found.shape == (1, 1, 256, 199)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[0, 0].numpy(), kapre_mel(window), atol=1e-3)


def test_a_window_is_scaled_by_its_own_maximum() -> None:
    loud, soft = (torch.from_numpy((gain * waveforms()["noise"])[None]).float() for gain in (1.0, 0.01))
    together = openl3_log_mels(torch.cat([loud, soft]))
    torch.testing.assert_close(together[:1], openl3_log_mels(loud))
    torch.testing.assert_close(together[0], together[1], atol=1e-4, rtol=0)
    assert together.amax(dim=(1, 2, 3)).tolist() == [0, 0]


def test_silence_is_flat() -> None:
    assert (openl3_log_mels(torch.zeros(1, RATE)) == 0).all()


def test_the_filters_are_computed_once() -> None:
    assert mel_filters() is mel_filters()
    assert mel_filters().shape == (N_MELS, 1025)


def test_seconds_are_filled_up_with_silence() -> None:
    windows = one_second_windows(np.ones(RATE + 10))
    assert windows.shape == (2, RATE)
    assert windows[1, :10].all()
    assert not windows[1, 10:].any()
    assert one_second_windows(np.ones(480)).shape == (1, RATE)


def test_frames_of_256_are_cropped_and_nothing_else() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (256, 341, 3), dtype=np.uint8)
    (found,) = openl3_crops([frame])
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), frame[16:240, 58:282] / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(568, 320), (720, 1280), (120, 160), (240, 240)])
def test_any_frame_becomes_224_by_224_in_0_to_1(shape: tuple[int, int]) -> None:
    across = np.linspace(0, 255, shape[1])
    frame = np.broadcast_to(across[None, :, None], (*shape, 3)).astype(np.uint8)
    (found,) = openl3_crops([frame])
    assert found.shape == (3, 224, 224)
    assert 0 <= found.min() < found.max() <= 1
    scaled = max(256 / min(shape), 0) if not 224 <= min(shape) <= 256 else 1
    slope = np.diff(found[0, 112].numpy()).mean() * 224
    assert slope == pytest.approx(224 / (shape[1] * scaled), abs=0.02)


def test_a_frame_of_the_inputs_size_is_in_minus_1_to_1() -> None:
    """As in openl3 0.3.1, which scales unsigned integers to [-1, 1] where it has not made numbers in [0, 1] of them."""
    frame = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    (found,) = openl3_crops([frame])
    np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), 2 * (frame / 255) - 1, atol=1e-6)


def test_frames_of_different_size_make_one_batch() -> None:
    frames = [np.zeros((300, 400, 3), np.uint8), np.zeros((256, 256, 3), np.uint8)]
    assert openl3_crops(frames).shape == (2, 3, 224, 224)
