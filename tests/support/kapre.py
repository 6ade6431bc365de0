"""kapre 0.1.4's log-mel spectrogram, computed with librosa, and waveforms to compare it on."""

import librosa
import numpy as np
import pytest

RATE = 48_000  # Hz


def kapre_mel(window: np.ndarray) -> np.ndarray:
    """kapre 0.1.4's Melspectrogram(n_dft=2048, n_hop=242, n_mels=256, htk=True, power_melgram=1, padding="same")."""
    padded = np.pad(window.astype(float), 982)  # TensorFlow's "same": (198 * 242 + 2048 - 48000) / 2 at both ends
    spectrum = librosa.stft(padded, n_fft=2048, hop_length=242, center=False, dtype=np.complex128)
    with pytest.warns(UserWarning, match="Empty filters"):  # two bands are narrower than a bin is wide
        filters = librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=256, htk=True, norm="slaney", dtype=np.float64)
    amplitudes = np.sqrt(filters @ np.abs(spectrum) ** 2)
    decibels = 10 * np.log10(np.maximum(amplitudes, 1e-10))
    return np.maximum(decibels - decibels.max(), -80)


def waveforms() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    times = np.arange(RATE) / RATE
    return {
        "noise": random.normal(0, 0.1, RATE),
        "chirp": 0.8 * np.sin(2 * np.pi * (100 + 5000 * times) * times),
        "click": np.eye(1, RATE, 20_000)[0],
        "half": np.where(times < 0.5, 0, random.normal(0, 1e-4, RATE)),
    }
