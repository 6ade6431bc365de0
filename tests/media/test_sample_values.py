"""Test how stored floating-point samples are read: NaN, infinity, and full scales other than 1."""

import struct

import numpy as np
import pytest

from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.support.ffmpeg_program import ffmpeg

RATE = 16000
SECONDS = 3
AUDIO = Sampling(sample_rate=RATE)


def tone(amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * 440 * np.arange(SECONDS * RATE) / RATE)


def write_wav(path, *channels, bits=32):
    """Write a WAV file of floating-point samples (format 3), which are stored as they are."""
    data = np.stack(channels, axis=1).astype(f"<f{bits // 8}").tobytes()
    block = len(channels) * bits // 8
    form = struct.pack("<HHIIHH", 3, len(channels), RATE, RATE * block, block, bits)
    content = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content)) + content)
    return path


def read(path):
    with Recording(path) as recording:
        segments = list(recording.segments(AUDIO))
    return np.concatenate([segment.waveform for segment in segments]), recording.warnings


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_in_a_channel_leave_the_others(tmp_path, bits, value):
    broken = np.full(SECONDS * RATE, value)
    waveform, warnings = read(write_wav(tmp_path / "a.wav", tone(0.5), broken, bits=bits))
    constant = 0.0 if np.isnan(value) else np.sign(value)
    assert np.abs(waveform - (tone(0.5) + constant) / 2).max() < 1e-6
    assert not warnings


def test_huge_values_in_a_channel_are_clipped_with_a_warning(tmp_path):
    broken = np.zeros(SECONDS * RATE)
    broken[RATE : RATE + 100] = 3e38
    waveform, warnings = read(write_wav(tmp_path / "a.wav", tone(0.5), broken))
    assert np.isfinite(waveform).all()
    assert waveform[2 * RATE :] == pytest.approx(tone(0.5)[2 * RATE :] / 2, abs=1e-6)
    assert warnings == ("the audio exceeds full scale by a factor of 1e+30; it was clipped",)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("full_scale", "amplitude"), [(2**15, 0.5), (2**15, 0.005), (2**23, 0.5)])
def test_integers_stored_as_floating_point_numbers_are_scaled(tmp_path, bits, whole, full_scale, amplitude):
    stored = tone(amplitude * full_scale)
    stored[: RATE // 2] = 0  # silence at the beginning shows nothing
    path = write_wav(tmp_path / "a.wav", np.rint(stored) if whole else stored, bits=bits)
    waveform, warnings = read(path)
    assert np.abs(waveform - stored / full_scale).max() < 0.6 / full_scale + 1e-7
    assert warnings == (f"the audio's full scale is {full_scale}, not 1; it was scaled",)


def test_a_quiet_recording_of_integers_is_scaled_by_its_whole_numbers(tmp_path):
    stored = np.rint(tone(3.0))
    waveform, _ = read(write_wav(tmp_path / "a.wav", stored))
    assert waveform == pytest.approx(stored / 2**15, abs=1e-7)


def test_the_scale_is_that_of_the_ffmpeg_program(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=duration=3:sample_rate=16000", tmp_path / "a.wav")
    samples = np.frombuffer(ffmpeg("-i", tmp_path / "a.wav", "-f", "s16le", "-"), np.int16)
    expected = np.frombuffer(ffmpeg("-i", tmp_path / "a.wav", "-f", "f32le", "-"), np.float32)
    waveform, _ = read(write_wav(tmp_path / "b.wav", samples))
    assert np.array_equal(waveform, expected)


@pytest.mark.parametrize("peak", [1.0, 2.5, 7.9])
def test_a_little_above_full_scale_is_clipped(tmp_path, peak):
    waveform, warnings = read(write_wav(tmp_path / "a.wav", tone(peak)))
    assert waveform == pytest.approx(np.clip(tone(peak), -1, 1), abs=1e-6)
    assert not warnings


def test_a_loud_part_after_others_is_clipped_with_a_warning(tmp_path):
    stored = tone(0.5)
    stored[2 * RATE :] *= 4000
    waveform, warnings = read(write_wav(tmp_path / "a.wav", stored))
    assert waveform[: 2 * RATE] == pytest.approx(stored[: 2 * RATE], abs=1e-6)
    assert np.abs(waveform).max() == 1
    assert warnings == ("the audio exceeds full scale by a factor of 2e+03; it was clipped",)
