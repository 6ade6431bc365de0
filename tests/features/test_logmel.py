"""Log-mels agree with librosa's; a spec that cannot be is refused and none can be changed."""

import dataclasses

import numpy as np
import pytest
import torch

from avscene.features.logmel import LogMelSpec, log_mel
from benchmarks import librosa_log_mel
from tests.support.fast_system import LOG_MEL

SECONDS = 1.0
SPECS = {
    "of recipe fast": LOG_MEL,
    "16 kHz": LogMelSpec(sample_rate=16_000, n_fft=1024, hop_length=320, n_mels=64, f_min=50.0, f_max=8_000.0),
    "48 kHz": LogMelSpec(sample_rate=48_000, n_fft=2048, hop_length=1024, n_mels=128, f_min=0.0, f_max=24_000.0),
    "odd sizes": LogMelSpec(sample_rate=22_050, n_fft=1000, hop_length=333, n_mels=40, f_min=300.0, f_max=9_999.0),
    "low floor": LogMelSpec(16_000, 512, 160, 26, 0.0, 4_000.0, floor_db=-60.0),
}


def signal(kind: str, rate: int) -> np.ndarray:
    """float32 (n,) of one second."""
    times = np.arange(int(SECONDS * rate)) / rate
    random = np.random.default_rng(7)
    clicks = np.zeros(len(times))
    clicks[:: rate // 5] = 1.0
    made = {
        "tone": 0.5 * np.sin(2 * np.pi * 1000 * times),
        "two tones": 0.3 * np.sin(2 * np.pi * 220 * times) + 0.3 * np.sin(2 * np.pi * 3520 * times),
        "noise": 0.2 * random.standard_normal(len(times)),
        "faint noise": 1e-4 * random.standard_normal(len(times)),
        "clicks": clicks,
        "silence": np.zeros(len(times)),
        "full scale": np.sign(np.sin(2 * np.pi * 440 * times)),
    }
    return made[kind].astype(np.float32)


@pytest.mark.parametrize("kind", ["tone", "two tones", "noise", "faint noise", "clicks", "silence", "full scale"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_agrees_with_librosa(spec: LogMelSpec, kind: str) -> None:
    waveform = signal(kind, spec.sample_rate)
    ours = log_mel(torch.from_numpy(waveform)[None], spec)[0].numpy()
    # In double precision: what the test measures is our single-precision error, not librosa's.
    theirs = librosa_log_mel.log_mel(waveform.astype(np.float64), spec)
    assert ours.shape == theirs.shape == (spec.n_mels, 1 + len(waveform) // spec.hop_length)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)


def test_silence_lies_at_the_floor_and_nothing_below_it() -> None:
    spec = SPECS["low floor"]
    waveforms = torch.from_numpy(np.stack([signal("silence", 16_000), signal("faint noise", 16_000)]))
    mels = log_mel(waveforms, spec)
    assert (mels[0] == -60).all()
    assert mels.min() >= -60


def test_waveforms_of_a_batch_do_not_mix() -> None:
    waveforms = torch.from_numpy(np.stack([signal(kind, 16_000) for kind in ("tone", "noise", "silence")]))
    together = log_mel(waveforms, SPECS["16 kHz"])
    alone = torch.cat([log_mel(waveform[None], SPECS["16 kHz"]) for waveform in waveforms])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)


def test_the_waveform_is_not_changed_and_a_short_one_is_padded() -> None:
    waveform = torch.from_numpy(signal("noise", 16_000))[None, :100]
    before = waveform.clone()
    assert log_mel(waveform, SPECS["16 kHz"]).shape == (1, 64, 1)
    assert torch.equal(waveform, before)


GOOD = {"sample_rate": 16_000, "n_fft": 512, "hop_length": 160, "n_mels": 40, "f_min": 0.0, "f_max": 8_000.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f_max": 8_000.5}, "does not fit 16000 Hz"),
        ({"f_min": -1.0}, "does not fit"),
        ({"f_min": 8_000.0}, "does not fit"),
        ({"f_min": float("nan")}, "does not fit"),
        ({"sample_rate": 0}, "does not fit"),
        ({"n_fft": 0}, "must be positive"),
        ({"hop_length": 0}, "must be positive"),
        ({"n_mels": -1}, "must be positive"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(change: dict[str, float], message: str) -> None:
    LogMelSpec(**GOOD)
    with pytest.raises(ValueError, match=message):
        LogMelSpec(**{**GOOD, **change})


def test_a_spec_cannot_be_changed() -> None:
    spec = LogMelSpec(**GOOD)
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.n_mels = 80
    assert spec == LogMelSpec(**GOOD)
    assert hash(spec) == hash(LogMelSpec(**GOOD))
