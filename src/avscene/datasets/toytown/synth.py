"""Synthesise the building blocks of toytown's audio as waveforms (n,): noise, tones, slow changes and events."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from avscene.records import FloatArray

SAMPLE_RATE = 48_000  # Hz, as in TAU
TICK = 480  # samples from one value of a slow change to the next; divides a second
RESPONSE_POINTS = 256
EDGE_SLOPE = 18.0  # dB per octave beyond the edges of a band of noise
Response = Callable[[FloatArray], FloatArray]  # octaves above 1 Hz to dB
Spectrum = NDArray[np.complexfloating[Any]]


@lru_cache(maxsize=4)
def seconds(n: int) -> FloatArray:
    """Return the time of each sample (n,), shared and read-only."""
    time = np.arange(n) / SAMPLE_RATE
    time.flags.writeable = False
    return time


def spectrum(wave: FloatArray, size: int | None = None) -> Spectrum:
    """Return the spectrum (size // 2 + 1,) of `wave` padded to `size`; numpy 2 is faster in double precision."""
    return np.fft.rfft(wave.astype(np.float64), size)


def apply_response(spectrum: Spectrum, decibels: Response) -> FloatArray:
    """Return the waveform of `spectrum` (n // 2 + 1,) after the frequency response `decibels`.

    The response is evaluated on a coarse grid and interpolated, which is enough for smooth responses.
    """
    grid = np.linspace(0, np.log2(SAMPLE_RATE / 2), RESPONSE_POINTS)
    hertz = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    gain = np.interp(hertz, 2**grid, 10 ** (decibels(grid) / 20))
    return np.fft.irfft(spectrum.astype(np.complex64) * gain.astype(np.float32)).astype(np.float32)


def noise(n: int, low: float, high: float, slope: float, random: Generator) -> FloatArray:
    """Return noise (n,) between `low` and `high` Hz with soft edges, falling by `slope` dB per octave."""

    def response(octave: FloatArray) -> FloatArray:
        below, above = np.log2(low) - octave, octave - np.log2(high)
        decibels: FloatArray = slope * below - EDGE_SLOPE * (np.clip(below, 0, None) + np.clip(above, 0, None))
        return decibels

    spectrum = random.standard_normal(n + 2, dtype=np.float32).view(np.complex64)
    return apply_response(spectrum, response)


def resonant(wave: FloatArray, peaks: list[tuple[float, float]]) -> FloatArray:
    """Filter `wave` with resonances of (centre in Hz, width in octaves)."""

    def response(octave: FloatArray) -> FloatArray:
        gain = sum(np.exp(-(((octave - np.log2(centre)) / width) ** 2)) for centre, width in peaks)
        decibels: FloatArray = 20 * np.log10(gain + 1e-4)
        return decibels

    return apply_response(spectrum(wave), response)


def slow_change(n: int, per_second: float, random: Generator) -> FloatArray:
    """Return a slow change (n,): linear between random values in [0, 1], `per_second` of them."""
    knots = random.random(int(n / SAMPLE_RATE * per_second) + 2)
    ticks = np.arange(n // TICK + 1) * (per_second * TICK / SAMPLE_RATE)
    line = np.interp(ticks, np.arange(len(knots)), knots).astype(np.float32)
    within = np.arange(TICK, dtype=np.float32) / TICK
    wave: FloatArray = (line[:-1, None] + np.diff(line)[:, None] * within).ravel()
    return wave


def sum_of_events(n: int, per_second: float, event: Callable[[Generator], FloatArray], random: Generator) -> FloatArray:
    """Return the sum (n,) of events at random times, about `per_second` of them and at least one."""
    wave = np.zeros(n)
    for _ in range(max(1, random.poisson(per_second * n / SAMPLE_RATE))):
        wave_of_event = event(random)[:n]
        start = int(random.integers(n - len(wave_of_event) + 1))  # a whole event: never silence
        wave[start : start + len(wave_of_event)] += wave_of_event
    return wave


def harmonics(pitch: FloatArray, count: int, slope: float, random: Generator) -> FloatArray:
    """Return the sum (n,) of `count` tones at multiples k of `pitch` (n,) Hz with amplitudes k ** -slope."""
    phase = (2 * np.pi * (np.cumsum(pitch) / SAMPLE_RATE % 1)).astype(np.float32)
    wave = np.zeros(len(pitch), dtype=np.float32)
    for k, offset in enumerate(2 * np.pi * random.random(count, dtype=np.float32), start=1):
        wave += np.sin(k * phase + offset) * np.float32(k**-slope)
    return wave


def decay(since: FloatArray, rate: float) -> FloatArray:
    """Return the amplitude exp(-rate x since) at `since` seconds after an impact; single precision, for speed."""
    wave: FloatArray = np.exp(np.float32(-rate) * since.astype(np.float32))
    return wave
