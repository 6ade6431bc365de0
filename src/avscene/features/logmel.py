"""Compute log-mel spectrograms from waveforms."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from avscene.records import FloatArray

# Slaney's mel scale: linear below 1 kHz (200/3 Hz a mel), logarithmic above (27 mels for a factor 6.4).
_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True)
class LogMelSpec:
    """Settings of a log-mel spectrogram, stored with the weights that were trained on it.

    `sample_rate`, `f_min` and `f_max` are in Hz, `n_fft` and `hop_length` in samples. Values are in decibels relative
    to full scale, 10 log10(power), and at least `floor_db`. They equal librosa's `melspectrogram(htk=False,
    norm="slaney", center=True, pad_mode="constant")` followed by `power_to_db(ref=1, top_db=None)`.
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    n_mels: int
    f_min: float
    f_max: float
    floor_db: float = -80.0
    scaling: Literal["decibel"] = "decibel"

    def __post_init__(self) -> None:
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"mel range {self.f_min}-{self.f_max} Hz does not fit {self.sample_rate} Hz")
        if min(self.n_fft, self.hop_length, self.n_mels) < 1:
            raise ValueError("n_fft, hop_length and n_mels must be positive")

    @cached_property
    def filters(self) -> Tensor:
        """(n_mels, n_fft // 2 + 1) triangular filters of unit area (Slaney's Auditory Toolbox, 1998)."""
        bins = np.linspace(0, self.sample_rate / 2, self.n_fft // 2 + 1)
        edges = _mel_to_hz(np.linspace(_hz_to_mel(self.f_min), _hz_to_mel(self.f_max), self.n_mels + 2))
        rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
        falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
        triangles = np.maximum(0, np.minimum(rising, falling))
        return torch.from_numpy(triangles * (2 / (edges[2:] - edges[:-2]))[:, None])

    @cached_property
    def centres(self) -> Tensor:
        """(n_mels,) frequency in Hz of the peak of each band."""
        return torch.from_numpy(
            _mel_to_hz(np.linspace(_hz_to_mel(self.f_min), _hz_to_mel(self.f_max), self.n_mels + 2))[1:-1]
        )

    @cached_property
    def window(self) -> Tensor:
        """(n_fft,) periodic Hann window."""
        return torch.hann_window(self.n_fft, dtype=torch.float64)

    @property
    def blank(self) -> Tensor:
        """One log-mel (1, n_mels, n_times) of zeros, of one second."""
        return torch.zeros(1, self.n_mels, 1 + self.sample_rate // self.hop_length)


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _HZ_PER_MEL
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _mel_to_hz(mels: FloatArray) -> FloatArray:
    log_part = _BREAK_HZ * np.exp(_LOG_STEP * (mels - _BREAK_MEL))
    return np.where(mels < _BREAK_MEL, _HZ_PER_MEL * mels, log_part)


def log_mel(waveforms: Tensor, spec: LogMelSpec) -> Tensor:
    """Compute log-mels (n, n_mels, 1 + samples // hop_length) in dB of mono `waveforms` (n, samples).

    Double precision is used: beside a loud tone, single precision is off by up to 0.1 dB in quiet bands.
    """
    # One at a time on a CPU: the spectrum of a second then stays in the cache, which is four times as fast.
    rows = 1 if waveforms.device.type == "cpu" else max(len(waveforms), 1)
    return torch.cat([_log_mel(part, spec) for part in torch.split(waveforms, rows)])


def _log_mel(waveforms: Tensor, spec: LogMelSpec) -> Tensor:
    spectrum = torch.stft(
        waveforms.double(),
        spec.n_fft,
        spec.hop_length,
        window=spec.window.to(waveforms.device),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
    mels = spec.filters.to(waveforms.device) @ power
    return (10 * torch.log10(mels.clamp_min(10 ** (spec.floor_db / 10)))).float()


def band_statistics(mels: Tensor) -> Tensor:
    """Return mean and standard deviation over time (n, 2 n_mels) of each band of `mels` (n, n_mels, n_times)."""
    if not len(mels):  # torch warns of a deviation of nothing
        return mels.new_empty(0, 2 * mels.shape[1])
    return torch.cat([mels.mean(2), mels.std(2)], dim=1)
