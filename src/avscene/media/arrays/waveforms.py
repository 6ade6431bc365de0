"""Check waveforms and their sample rates that are given as arrays."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from avscene.arguments import check_number, wrong_argument
from avscene.errors import UsageError
from avscene.media.arrays.frames import as_array
from avscene.media.audio.samples import EXCESS, MAX_RATE, MIN_RATE, Samples
from avscene.media.decoded import DecodedAudio

ACCEPTED = "an array or tensor (n,) or (channels, n); floating-point with full scale at 1, int16 or int32"
MAX_CHANNELS = 64
BLOCK = 1.0  # seconds that are passed on at once
INTEGERS = {"int16": 2.0**15, "int32": 2.0**31}  # full scale by type


def check_waveform(waveform: Any) -> Samples:
    """Return samples (channels, n) with full scale at 1.

    Raises:
        UsageError: the waveform is of a wrong type, shape or range.
    """
    try:
        samples = as_array(waveform)
    except (TypeError, ValueError):
        raise wrong_argument("waveform", waveform, ACCEPTED) from None
    if samples.ndim not in (1, 2):
        raise wrong_argument("waveform", waveform, ACCEPTED)
    if not samples.size:
        raise UsageError("waveform is empty; give None if there is no audio")
    samples = np.atleast_2d(samples)
    if len(samples) > MAX_CHANNELS:
        hint = "waveform.T" if samples.shape[1] <= MAX_CHANNELS else ""
        raise wrong_argument("waveform", waveform, ACCEPTED, hint)
    if samples.dtype.name in INTEGERS:
        return np.asarray(samples / np.float64(INTEGERS[samples.dtype.name]), np.float32)
    if samples.dtype.kind != "f":
        raise UsageError(f"waveform is of type {samples.dtype}; accepted: {ACCEPTED}")
    peak = float(np.abs(samples).max())
    if not peak <= EXCESS:  # also if it is NaN
        hint = "; try: waveform / 32768" if 1 < peak <= INTEGERS["int16"] else ""
        raise UsageError(f"waveform has samples up to {peak:g}; accepted: {ACCEPTED}{hint}")
    return np.asarray(samples, np.float32)


def check_rate(sample_rate: Any) -> int:
    """Return the sample rate of a waveform in Hz.

    Raises:
        UsageError: it is not a whole number from MIN_RATE to MAX_RATE.
    """
    accepted = f"the samples per second of the waveform, a whole number from {MIN_RATE} to {MAX_RATE}"
    check_number("sample_rate", sample_rate, accepted)
    if not MIN_RATE <= sample_rate <= MAX_RATE or sample_rate != int(sample_rate):
        raise wrong_argument("sample_rate", sample_rate, accepted)
    return int(sample_rate)


def audio_blocks(samples: Samples, rate: int, start: float) -> Iterator[DecodedAudio]:
    """Yield samples (channels, n) at `rate` Hz from `start` seconds on in blocks, which need little memory each."""
    length = max(round(BLOCK * rate), 1)
    for first in range(0, samples.shape[1], length):
        block = samples[:, first : first + length]
        time = start + first / rate
        yield DecodedAudio(time, time + block.shape[1] / rate, rate, block)
