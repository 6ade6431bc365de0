"""Building blocks of toytown's sounds: noise, tones, slow changes and events, each to a waveform (n,)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from avscene.records import FloatArray

SAMPLE_RATE = 48_000  # Hz, as TAU has it
TICK = 480  # samples from one value of a slow change to the next; divides a second
RESPONSE_POINTS = 256
EDGE_SLOPE = 18.0  # dB an octave beyond the edges of a band of noise
Response = Callable[[FloatArray], FloatArray]  # octaves above 1 Hz to dB
Spectrum = NDArray[np.complexfloating[Any]]


@lru_cache(maxsize=4)
def seconds(n: int) -> FloatArray:
    """(n,) time of each sample; shared, so it cannot be written to."""
    time = np.arange(n) / SAMPLE_RATE
    time.flags.writeable = False
    return time


def spectrum(wave: FloatArray, size: int | None = None) -> Spectrum:
    """(size // 2 + 1,) of `wave`, padded to `size`; in double precision, which numpy 2 transforms faster."""
    return np.fft.rfft(wave.astype(np.float64), size)


def coloured(spectrum: Spectrum, decibels: Response) -> FloatArray:
    """The waveform of `spectrum` (n // 2 + 1,) after the response `decibels`.

    The response is evaluated on a coarse grid and drawn through it: curves this smooth need no more.
    """
    grid = np.linspace(0, np.log2(SAMPLE_RATE / 2), RESPONSE_POINTS)
    hertz = np.linspace(0, SAMPLE_RATE / 2, len(spectrum))
    gain = np.interp(hertz, 2**grid, 10 ** (decibels(grid) / 20))
    return np.fft.irfft(spectrum.astype(np.complex64) * gain.astype(np.float32)).astype(np.float32)


def noise(n: int, low: float, high: float, slope: float, random: Generator) -> FloatArray:
    """Noise between `low` and `high` Hz with soft edges, falling by `slope` dB an octave."""

    def response(octave: FloatArray) -> FloatArray:
        below, above = np.log2(low) - octave, octave - np.log2(high)
        decibels: FloatArray = slope * below - EDGE_SLOPE * (np.clip(below, 0, None) + np.clip(above, 0, None))
        return decibels

    spectrum = random.standard_normal(n + 2, dtype=np.float32).view(np.complex64)
    return coloured(spectrum, response)


def resonant(wave: FloatArray, peaks: list[tuple[float, float]]) -> FloatArray:
    """`wave` through resonances of (centre in Hz, width in octaves)."""

    def response(octave: FloatArray) -> FloatArray:
        gain = sum(np.exp(-(((octave - np.log2(centre)) / width) ** 2)) for centre, width in peaks)
        decibels: FloatArray = 20 * np.log10(gain + 1e-4)
        return decibels

    return coloured(spectrum(wave), response)


def wander(n: int, per_second: float, random: Generator) -> FloatArray:
    """(n,) a line through random values in [0, 1], `per_second` of them: a slow change."""
    knots = random.random(int(n / SAMPLE_RATE * per_second) + 2)
    ticks = np.arange(n // TICK + 1) * (per_second * TICK / SAMPLE_RATE)
    line = np.interp(ticks, np.arange(len(knots)), knots).astype(np.float32)
    within = np.arange(TICK, dtype=np.float32) / TICK
    wave: FloatArray = (line[:-1, None] + np.diff(line)[:, None] * within).ravel()
    return wave


def sum_of(n: int, per_second: float, event: Callable[[Generator], FloatArray], random: Generator) -> FloatArray:
    """(n,) events at random times, about `per_second` of them, at least one."""
    wave = np.zeros(n)
    for _ in range(max(1, random.poisson(per_second * n / SAMPLE_RATE))):
        sound = event(random)[:n]
        start = int(random.integers(n - len(sound) + 1))  # a whole event: never silence
        wave[start : start + len(sound)] += sound
    return wave


def harmonics(pitch: FloatArray, count: int, slope: float, random: Generator) -> FloatArray:
    """Tones at multiples of `pitch` (n,) Hz, amplitude falling as k ** -slope."""
    phase = (2 * np.pi * (np.cumsum(pitch) / SAMPLE_RATE % 1)).astype(np.float32)
    wave = np.zeros(len(pitch), dtype=np.float32)
    for k, offset in enumerate(2 * np.pi * random.random(count, dtype=np.float32), start=1):
        wave += np.sin(k * phase + offset) * np.float32(k**-slope)
    return wave


def fading(since: FloatArray, rate: float) -> FloatArray:
    """Amplitude `since` seconds after a blow, fading as exp(-rate x since); single precision, for speed."""
    wave: FloatArray = np.exp(np.float32(-rate) * since.astype(np.float32))
    return wave
