"""Test every augmentation: shapes, ranges, what it changes, and equal results for equal generators."""

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.features.logmel import LogMelSpec, log_mel
from avscene.training import augment
from avscene.training.augment import ASPECT

LOG_MEL = LogMelSpec(44_100, n_fft=2048, hop_length=441, n_mels=64, f_min=20.0, f_max=20_000.0)
SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=40)


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def image(seed: int, height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(random(seed).integers(0, 256, (3, height, width), dtype=np.uint8))


def positions(height: int, width: int) -> torch.Tensor:
    """Return an image whose red is the column and whose green the row of each pixel, scaled to 255."""
    right = torch.linspace(0, 255, width).expand(height, width)
    down = torch.linspace(0, 255, height)[:, None].expand(height, width)
    return torch.stack([right, down, torch.zeros(height, width)]).round().to(torch.uint8)


def log_mel_of(waveform: np.ndarray) -> torch.Tensor:
    return log_mel(torch.from_numpy(waveform[None].astype(np.float32)), LOG_MEL)[0]


@few
@given(SEEDS, st.floats(0, 20))
def test_a_change_of_level_is_that_of_the_waveform(seed: int, max_gain: float) -> None:
    noise = random(seed).normal(0, 0.01, LOG_MEL.sample_rate)
    gain = random(seed).uniform(-max_gain, max_gain)
    found = augment.change_level(log_mel_of(noise), LOG_MEL, max_gain, random(seed))
    torch.testing.assert_close(found, log_mel_of(noise * 10 ** (gain / 20)), atol=1e-3, rtol=0)


@few
@given(SEEDS)
def test_a_limited_band_is_that_of_a_lower_sample_rate(seed: int) -> None:
    noise = random(seed).normal(0, 0.1, LOG_MEL.sample_rate)
    limited = augment.limit_band(log_mel_of(noise), LOG_MEL, 1.0, random(seed))
    empty = (limited == LOG_MEL.floor_db).all(dim=1)
    cutoff = float(LOG_MEL.centres[~empty].max())
    resampled = soxr.resample(soxr.resample(noise, LOG_MEL.sample_rate, 2 * cutoff), 2 * cutoff, LOG_MEL.sample_rate)
    expected = log_mel_of(np.resize(resampled, len(noise)))
    passed, stopped = LOG_MEL.centres < 0.8 * cutoff, LOG_MEL.centres > 1.2 * cutoff
    torch.testing.assert_close(limited[passed, 5:-5], expected[passed, 5:-5], atol=0.5, rtol=0)
    assert (expected[stopped, 5:-5] < LOG_MEL.floor_db + 1).all()
    assert empty[stopped].all()


def test_no_band_is_limited_at_probability_0() -> None:
    mels = log_mel_of(random(0).normal(0, 0.1, LOG_MEL.sample_rate))
    assert augment.limit_band(mels, LOG_MEL, 0.0, random(1)) is mels


@few
@given(SEEDS, st.integers(1, 60), st.floats(0, 1))
def test_a_time_shift_rotates_the_samples_by_at_most_its_share(seed: int, length: int, share: float) -> None:
    waveform = np.arange(length, dtype=np.float32)
    shifted = augment.time_shift(waveform, share, random(seed))
    assert shifted.shape == waveform.shape
    distance = int(shifted[0]) % length
    np.testing.assert_array_equal(shifted, np.roll(waveform, -distance))
    assert min(distance, length - distance) <= share * length
    np.testing.assert_array_equal(waveform, np.arange(length))
    np.testing.assert_array_equal(augment.time_shift(waveform, share, random(seed)), shifted)


def test_time_shifts_go_in_both_directions_up_to_the_limit() -> None:
    waveform = np.arange(100)
    firsts = {int(augment.time_shift(waveform, 0.25, random(seed))[0]) for seed in range(600)}
    assert firsts == {*range(26), *range(75, 100)}


@few
@given(SEEDS, st.integers(1, 50), st.integers(0, 50))
def test_a_crop_is_contiguous_samples_of_the_waveform(seed: int, length: int, more: int) -> None:
    waveform = np.arange(length + more)
    crop = augment.crop(waveform, length, random(seed))
    np.testing.assert_array_equal(crop, np.arange(crop[0], crop[0] + length))
    assert crop[-1] <= waveform[-1]


def test_crops_start_at_every_sample() -> None:
    assert {int(augment.crop(np.arange(20), 10, random(seed))[0]) for seed in range(300)} == set(range(11))


@few
@given(SEEDS, st.sampled_from([0, 1]), st.integers(1, 20), st.integers(1, 20), st.integers(0, 30))
def test_a_mask_covers_one_run_of_neighbours_and_nothing_else(
    seed: int, axis: int, n_mels: int, n_times: int, widest: int
) -> None:
    mels = torch.zeros(n_mels, n_times)
    level = torch.arange(1.0, n_mels + 1)
    masked = augment.mask(mels, axis, widest, level, random(seed))
    hidden = (masked != 0).any(dim=1 - axis).nonzero().flatten().tolist()
    assert len(hidden) <= min(widest, mels.shape[axis])
    assert not hidden or hidden == list(range(hidden[0], hidden[-1] + 1))
    taken = torch.zeros(mels.shape[axis], dtype=torch.bool)
    taken[hidden] = True
    expected = torch.where(taken[:, None] if axis == 0 else taken, level[:, None], mels)
    assert torch.equal(masked, expected)
    assert not mels.any()
    assert torch.equal(augment.mask(mels, axis, widest, level, random(seed)), masked)


def test_masks_have_every_width_and_position() -> None:
    widths, starts = set(), set()
    for seed in range(400):
        hidden = augment.mask(torch.zeros(8, 2), 0, 3, torch.ones(8), random(seed))[:, 0].nonzero().flatten().tolist()
        widths.add(len(hidden))
        starts.update(hidden[:1])
    assert widths == {0, 1, 2, 3}
    assert starts == set(range(8))


@few
@given(SEEDS, st.integers(8, 80), st.integers(8, 80), st.integers(4, 40), st.floats(0.05, 1), st.floats(0.05, 1))
def test_a_crop_of_an_image_has_the_size_and_its_range(
    seed: int, height: int, width: int, size: int, one: float, other: float
) -> None:
    pixels = torch.full((3, height, width), 77, dtype=torch.uint8)
    crop = augment.resized_crop(pixels, size, (one, other), "bilinear", random(seed))
    assert crop.shape == (3, size, size)
    assert crop.dtype == torch.uint8
    assert (crop == 77).all()
    noise = image(seed, height, width)
    again = augment.resized_crop(noise, size, (one, other), "bicubic", random(seed))
    assert torch.equal(augment.resized_crop(noise, size, (one, other), "bicubic", random(seed)), again)


def test_crops_have_the_requested_area_and_aspect() -> None:
    frame = positions(400, 600)
    shares, aspects, lefts = [], [], []
    for seed in range(200):
        crop = augment.resized_crop(frame, 32, (0.2, 0.5), "bilinear", random(seed)).float()
        wide = (crop[0].max() - crop[0].min()).item() / 255 * 600
        tall = (crop[1].max() - crop[1].min()).item() / 255 * 400
        shares.append(wide * tall / (400 * 600))
        aspects.append(wide / tall)
        lefts.append(crop[0].min().item())
    # the outermost of 32 pixels are centred half a pixel inside the crop: what is read is up to 8 % too little
    assert 0.16 < min(shares) < 0.23
    assert 0.42 < max(shares) <= 0.51
    assert 0.7 < min(aspects) < 0.82
    assert 1.22 < max(aspects) < 1.4
    assert min(aspects) > 0.93 * ASPECT[0]
    assert min(lefts) < 10
    assert max(lefts) > 100


def test_without_a_fitting_crop_the_whole_image_is_used() -> None:
    narrow = positions(200, 8)  # the whole area has an aspect of 1/25
    crop = augment.resized_crop(narrow, 16, (1.0, 1.0), "bilinear", random(0))
    assert crop[0].max() > 230
    assert crop[1].max() > 230


@few
@given(SEEDS, st.floats(0, 1))
def test_a_flip_mirrors_or_does_nothing(seed: int, probability: float) -> None:
    frame = image(seed, 5, 7)
    flipped = augment.flip(frame, probability, random(seed))
    mirrored = torch.from_numpy(frame.numpy()[:, :, ::-1].copy())
    assert torch.equal(flipped, frame) or torch.equal(flipped, mirrored)


def test_flips_have_the_requested_frequency() -> None:
    frame = positions(2, 9)
    for probability in (0.0, 0.3, 1.0):
        flips = sum(bool(augment.flip(frame, probability, random(seed))[0, 0, 0]) for seed in range(500))
        assert flips / 500 == pytest.approx(probability, abs=0.06)


@few
@given(SEEDS, st.integers(1, 30))
def test_rand_augment_keeps_shape_and_draws_from_its_generator_alone(seed: int, magnitude: int) -> None:
    frame, before = image(seed, 20, 24), torch.random.get_rng_state()
    kept = frame.clone()
    torch.manual_seed(seed)
    expected = torch.rand(3)
    torch.manual_seed(seed)
    augmented = augment.rand_augment(frame, magnitude, random(seed))
    assert torch.equal(torch.rand(3), expected)  # torch's own generator has not moved
    torch.manual_seed(seed + 1)
    assert torch.equal(augment.rand_augment(frame, magnitude, random(seed)), augmented)
    assert (augmented.shape, augmented.dtype) == (frame.shape, torch.uint8)
    assert torch.equal(frame, kept)
    torch.random.set_rng_state(before)


def test_a_greater_magnitude_changes_more() -> None:
    frame = image(0, 32, 32)

    def change(magnitude: int) -> float:
        augmented = [augment.rand_augment(frame, magnitude, random(seed)) for seed in range(60)]
        return float(np.mean([(one.float() - frame.float()).abs().mean() for one in augmented]))

    assert change(1) < change(10) < change(25)


@few
@given(SEEDS, st.integers(2, 12), st.integers(2, 5), st.floats(0.05, 4))
def test_mixup_mixes_targets_in_the_share_of_their_inputs(seed: int, count: int, scenes: int, alpha: float) -> None:
    targets = torch.eye(scenes)[torch.from_numpy(random(seed).integers(0, scenes, count))]
    rows = torch.eye(count)  # an input is its own row: the mixture has the partner and its share
    inputs = rows[:, :, None].expand(-1, -1, 3)
    mixed, mixed_targets = augment.mixup(inputs, targets, alpha, random(seed))
    shares = mixed[:, :, 0]
    assert mixed.shape == inputs.shape
    torch.testing.assert_close(shares.sum(1), torch.ones(count))
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(count))
    torch.testing.assert_close(mixed_targets, shares @ targets)
    assert (shares >= 0).all()
    assert ((shares > 0).sum(1) <= 2).all()
    again = augment.mixup(inputs, targets, alpha, random(seed))
    assert torch.equal(again[0], mixed)
    assert torch.equal(inputs[:, :, 0], rows)


def test_mixup_shares_follow_their_beta_and_partners_differ() -> None:
    count = 400
    mixed, _ = augment.mixup(torch.eye(count), torch.eye(count), 0.3, random(3))
    own = mixed.diagonal()
    assert own.mean().item() == pytest.approx(0.5, abs=0.06)
    assert own.var().item() == pytest.approx(1 / (4 * (2 * 0.3 + 1)), abs=0.03)  # of Beta(0.3, 0.3)
    assert ((mixed > 0).sum(0) <= 2).all()  # each is a partner once
