"""Make audio in which each second has a tone of its own, and read which second a waveform holds."""

from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 48000  # Hz
FIRST, STEP = 300, 50  # Hz: second k has a tone of FIRST + k STEP
AMPLITUDE = 0.4
QUIET = 0.1  # root mean square, below which a waveform holds the end of a tone at most
BAND = 15  # Hz that belong to a tone on both sides


def samples(seconds: int, rate: int = RATE) -> npt.NDArray[np.float64]:
    """Return the tones of seconds 0, 1, ... (seconds x rate,)."""
    time = np.arange(rate) / rate
    return np.concatenate([AMPLITUDE * np.sin(2 * np.pi * (FIRST + STEP * k) * time) for k in range(seconds)])


def read(waveform: npt.NDArray[Any], rate: int) -> tuple[int, float]:
    """Return the second whose tone is the strongest in a waveform (n,), and its share of the energy."""
    energy = np.abs(np.fft.rfft(waveform.astype(np.float64))) ** 2
    frequencies = np.arange(len(energy)) * rate / len(waveform)
    second = round((frequencies[int(energy.argmax())] - FIRST) / STEP)
    in_band = np.abs(frequencies - FIRST - STEP * second) <= BAND
    return second, float(energy[in_band].sum() / energy.sum())


def level(waveform: npt.NDArray[Any]) -> float:
    """Return the root mean square of a waveform."""
    return float(np.sqrt(np.mean(waveform.astype(np.float64) ** 2)))
