"""Test the mixing of channels to mono: arithmetic, laws, and real codecs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.media.audio.downmix import Downmix
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.support.ffmpeg_program import ffmpeg

RATE = 8000
PART = 2 * RATE  # samples of a part; blocks of a second begin with it


def noise(seed: int, seconds: float = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


A, B, C, D = map(noise, range(4))
NOTHING = np.zeros_like(A)


def mixed(channels: np.ndarray, lengths: Sequence[int] = (4096,)) -> np.ndarray:
    """Mix channels that a decoder divides into blocks of these lengths, which repeat."""
    downmix, parts, first = Downmix(RATE), [], 0
    while first < channels.shape[1]:
        length = lengths[len(parts) % len(lengths)]
        parts.append(downmix.add(channels[:, first : first + length]))
        first += length
    return np.concatenate([*parts, downmix.finish()])


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([A], A),
        ([A, A], A),
        ([A, NOTHING], A / 2),
        ([NOTHING, A], A / 2),
        ([A, B], (A + B) / 2),
        ([A, -A], A),
        ([A, -A / 2], 0.75 * A),
        ([A, -A, A], A),
        ([A, -A, -A], A),
        ([A, B, NOTHING, NOTHING, -B, -A], (A + B) / 3),  # 5.1
        ([A, -A, B, C, D, -D], (2 * A + B + C + 2 * D) / 6),
        ([A, B, C, D, A, B], (2 * A + 2 * B + C + D) / 6),
        ([A, B, C, NOTHING, D, -D, A, B], (2 * A + 2 * B + C + 2 * D) / 8),  # 7.1
        ([NOTHING, NOTHING, NOTHING, NOTHING, A, -A, NOTHING, NOTHING], A / 4),
    ],
)
def test_channels_in_opposite_phase_are_inverted_and_others_averaged(
    channels: list[np.ndarray], expected: np.ndarray
) -> None:
    np.testing.assert_allclose(mixed(np.stack(channels)), expected, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 20000), min_size=1, max_size=5), n_channels=st.sampled_from([2, 3, 6, 8]))
def test_the_result_does_not_depend_on_the_blocks_of_the_decoder(lengths: list[int], n_channels: int) -> None:
    channels = np.stack([noise(seed, 5.3) for seed in range(n_channels)])
    channels[1, PART : 2 * PART] = -channels[0, PART : 2 * PART]
    if sum(lengths) < 100:
        lengths = [*lengths, 1000]
    np.testing.assert_array_equal(mixed(channels, lengths), mixed(channels, [channels.shape[1]]))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    common=st.floats(0, 1),
    rumble=st.floats(0, 3),
    n_channels=st.sampled_from([2, 6, 8]),
)
def test_ordinary_audio_of_several_channels_gives_exactly_the_mean(
    seed: int, common: float, rumble: float, n_channels: int
) -> None:
    """Channels with a common part and a part of their own, and rumble of opposite phase, as wind and handling make."""
    random = np.random.default_rng(seed)
    own = random.normal(0, 0.1, (n_channels, 3 * RATE))
    signs = np.resize([1, -1], n_channels)[:, None]
    low = rumble * np.sin(2 * np.pi * 3 * np.arange(3 * RATE) / RATE)
    channels = (common * own[:1] + (1 - common) * own + signs * low).astype(np.float32)
    np.testing.assert_array_equal(mixed(channels), channels.mean(axis=0))


def test_an_inversion_that_begins_and_ends_makes_no_clicks() -> None:
    times = np.arange(6 * RATE) / RATE
    left = (0.5 * np.sin(2 * np.pi * 100 * times)).astype(np.float32)
    right = np.where((times >= 2) & (times < 4), -left, left)
    result = mixed(np.stack([left, right]))
    largest_step = 0.5 * 2 * np.pi * 100 / RATE
    assert np.abs(np.diff(result)).max() < 1.1 * largest_step
    for begin, end in ((0, 2), (2.1, 4), (4.1, 6)):  # an inversion takes 20 ms
        inside = (times > begin) & (times < end)
        np.testing.assert_allclose(result[inside], left[inside], atol=1e-6)


def test_an_inversion_goes_on_while_the_channels_are_nearly_opposite() -> None:
    share = np.repeat([1.0, 0.75, 0.75, 0.3], RATE).astype(np.float32)  # of the opposite part
    other = -(share * A + (1 - share) * B)
    result = mixed(np.stack([A, other]))
    kept = slice(0, 3 * RATE)
    np.testing.assert_allclose(result[kept], ((A - other) / 2)[kept], atol=1e-7)
    np.testing.assert_allclose(result[3 * RATE + 200 :], ((A + other) / 2)[3 * RATE + 200 :], atol=1e-7)
    alone = mixed(np.stack([A, other])[:, 3 * RATE :])
    np.testing.assert_allclose(alone, ((A + other) / 2)[3 * RATE :], atol=1e-7)


INVERTED = "pan=stereo|c0=c0|c1=-1*c0"


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", ("-c:a", "pcm_s16le")),
        ("a.flac", ("-c:a", "flac")),
        ("a.m4a", ("-c:a", "aac", "-b:a", "128k")),
        ("a.mp3", ("-c:a", "libmp3lame", "-b:a", "96k")),
        ("a.opus", ("-c:a", "libopus", "-b:a", "64k")),
        ("a.ogg", ("-c:a", "libvorbis")),
    ],
)
def test_inverted_stereo_has_the_level_of_mono(tmp_path: Path, name: str, codec: tuple[str, ...]) -> None:
    source = ("-f", "lavfi", "-i", "anoisesrc=d=4:c=pink:r=48000:a=0.3:s=5,lowpass=f=6000")
    ffmpeg(*source, "-af", INVERTED, *codec, tmp_path / name)
    ffmpeg(*source, *codec, tmp_path / f"mono-{name}")
    levels = []
    for path in (tmp_path / name, tmp_path / f"mono-{name}"):
        with Recording(path) as recording:
            waveforms = [s.waveform for s in recording.segments(Sampling(sample_rate=16000))]
        levels.append([20 * np.log10(np.std(waveform)) for waveform in waveforms[1:3] if waveform is not None])
    assert len(levels[0]) == 2
    np.testing.assert_allclose(levels[0], levels[1], atol=1.0)
