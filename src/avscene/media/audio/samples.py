"""Read the samples of decoded audio of any format, with full scale at 1."""

from typing import Any

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}  # by ffmpeg's names

# Codecs of 8-bit samples, linear and companded (G.711); others have at least 12 bits, or have no fixed number.
BITS = dict.fromkeys(("pcm_u8", "pcm_s8", "pcm_s8_planar", "pcm_mulaw", "pcm_alaw"), 8)
FLOAT_CODECS = ("pcm_f", "wavpack")  # how the names of codecs that store floating-point samples begin
# Of stored floating-point samples: larger ones are damage, and would overflow when they are averaged.
FLOAT_LIMIT = 1e30
INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)  # of 16, 24 and 32 bits
EXCESS = 8.0  # times full scale (18 dB), more than a recording with too much gain has

# Sample rates in Hz from infrasound to radio receivers; others are damage, and soxr needs seconds for rates of GHz.
MIN_RATE, MAX_RATE = 100, 2**24


def channel_samples(frame: av.AudioFrame) -> Samples:
    """Return the samples of a frame of any layout and sample format: (n_channels, n_samples), full scale at 1.

    Integers are scaled to [-1, 1]. Floating-point numbers are returned as they are stored, but finite: NaN becomes 0
    and infinity 1.
    """
    raw = _planes(frame)
    if not frame.format.is_planar:  # interleaved: one row of n_samples x n_channels
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype == np.uint8:
        return (raw.astype(np.float32) - np.float32(128)) / np.float32(128)
    if raw.dtype.kind == "i":
        scaled = raw / -float(np.iinfo(raw.dtype).min) if raw.dtype.itemsize > 2 else raw * np.float32(2**-15)
        return np.asarray(scaled, np.float32)
    if not np.abs(raw).max(initial=0) <= FLOAT_LIMIT:  # also if it is NaN
        raw = np.clip(np.nan_to_num(raw, posinf=1.0, neginf=-1.0), -FLOAT_LIMIT, FLOAT_LIMIT)
    return np.asarray(raw, np.float32)


class FullScale:
    """Scales stored floating-point samples whose full scale is not 1.

    Some programs store integers as floating-point numbers without dividing them by 32768. The first block of audio that
    is not silent shows it: it exceeds EXCESS, or all its samples are whole numbers and some exceed 1. Then all of the
    stream is divided by the full scale of the integers: of 16 bits, or of 24 or 32 if the block exceeds these.
    Otherwise nothing is scaled, and what exceeds 1 is clipped later. Streams of other codecs are left as they are.
    """

    def __init__(self, codec: str) -> None:
        self._stores_floats = codec.startswith(FLOAT_CODECS)
        self._scale: float | None = None  # None until a block is not silent
        self._peak = 0.0

    def apply(self, channels: Samples) -> Samples:
        """Return the samples (n_channels, n_samples) of the next block with full scale at 1."""
        if not self._stores_floats:
            return channels
        peak = float(np.abs(channels).max(initial=0.0))
        if self._scale is None and peak:
            self._scale = _integer_scale(channels, peak)
        self._peak = max(self._peak, peak / (self._scale or 1.0))
        return channels if self._scale in (None, 1.0) else channels / np.float32(self._scale)

    def warnings(self) -> list[str]:
        """Describe what was scaled, and what is clipped by more than EXCESS."""
        warnings = []
        if self._scale not in (None, 1.0):
            warnings.append(f"the audio's full scale is {self._scale:.0f}, not 1; it was scaled")
        if self._peak > EXCESS:
            warnings.append(f"the audio exceeds full scale by a factor of {self._peak:.3g}; it was clipped")
        return warnings


def _integer_scale(channels: Samples, peak: float) -> float:
    """Return the full scale of the integers that a block was made of; 1 if it holds floating-point samples."""
    whole = peak > 1 and bool((channels == np.rint(channels)).all())
    if not whole and peak <= EXCESS:
        return 1.0
    return next((scale for scale in INTEGER_SCALES if peak <= scale), 1.0)


def _planes(frame: av.AudioFrame) -> npt.NDArray[Any]:
    """Return the samples of a frame as they are stored, a row for each plane.

    PyAV's own method does not count the channels. From 8 channels on it goes on to planes that do not exist.
    """
    planar, channels = frame.format.is_planar, frame.layout.nb_channels
    dtype = np.dtype(SAMPLE_TYPES[frame.format.name.removesuffix("p")])
    count = frame.samples if planar else frame.samples * channels
    planes: Any = frame.planes[: channels if planar else 1]
    return np.stack([np.frombuffer(plane, dtype, count) for plane in planes])
