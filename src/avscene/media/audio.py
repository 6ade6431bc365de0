"""Convert decoded audio to mono waveforms at the requested sample rate, aligned to the recording's time."""

from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]
SAMPLE_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}  # by ffmpeg's names

FLOAT_CODECS = ("pcm_f", "wavpack")  # how the names of codecs that store floating-point samples begin
# Of stored floating-point samples: larger ones are damage, and would overflow when they are averaged.
FLOAT_LIMIT = 1e30
INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)  # of 16, 24 and 32 bits
EXCESS = 8.0  # times full scale (18 dB), more than a recording with too much gain has

# Seconds by which audio may deviate from its timestamps before it is moved; containers round them to milliseconds.
TIMESTAMP_TOLERANCE = 0.05
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


def to_mono(channels: Samples) -> Samples:
    """Average the channels (n_channels, n_samples): (n_samples,)."""
    mean: Samples = channels.mean(axis=0)
    return mean


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


class _ContinuousAudio:
    """Resampled audio without gaps; `position` is that of the next output sample, counted from time 0."""

    def __init__(self, start: float, source_rate: int, rate: int) -> None:
        self.source_rate = source_rate
        self._start = start
        self._n_in = 0
        self._n_out = 0
        self._first_position = round(start * rate)
        self._resampler = None if source_rate == rate else soxr.ResampleStream(source_rate, rate, 1, "float32")

    @property
    def end(self) -> float:
        return self._start + self._n_in / self.source_rate

    @property
    def position(self) -> int:
        return self._first_position + self._n_out

    def add(self, samples: Samples, last: bool = False) -> tuple[int, Samples]:
        self._n_in += len(samples)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        position = self.position
        self._n_out += len(samples)
        return position, np.clip(samples, -1.0, 1.0)


class AudioTrack:
    """Resampler that places blocks of audio on the recording's time axis.

    Gaps in the timestamps are left out of the output and overlaps are dropped. `start` and `end` are the extent of the
    audio in seconds.
    """

    def __init__(self, rate: int) -> None:
        self.start: float | None = None
        self.end = 0.0
        self._rate = rate
        self._current: _ContinuousAudio | None = None

    @property
    def complete_until(self) -> float:
        """Seconds up to which the output is complete."""
        return self._current.position / self._rate if self._current else self.end

    def add(self, time: float, rate: int, samples: Samples) -> list[tuple[int, Samples]]:
        """Take `samples` (n,) at `rate` Hz that start at `time` seconds.

        Returns:
            Pairs of (position of the first sample, samples) at the output rate.
        """
        done: list[tuple[int, Samples]] = []
        if self._current is not None:
            gap = time - self._current.end
            if gap < -TIMESTAMP_TOLERANCE:
                samples = samples[round(-gap * rate) :]
            if gap <= TIMESTAMP_TOLERANCE:
                time = self._current.end
            if gap > TIMESTAMP_TOLERANCE or rate != self._current.source_rate:
                done = self.finish()
        if not len(samples):
            return done
        if self._current is None:
            self._current = _ContinuousAudio(time, rate, self._rate)
            self.start = time if self.start is None else self.start
        done.append(self._current.add(samples))
        self.end = self._current.end
        return done

    def finish(self) -> list[tuple[int, Samples]]:
        """Return the samples that are still in the resampler."""
        current, self._current = self._current, None
        return [current.add(np.zeros(0, np.float32), last=True)] if current else []


class SegmentWaveforms:
    """Waveforms (hop x rate,) of the segments that have audio and were not taken yet."""

    def __init__(self, hop: float, rate: int) -> None:
        self._step = hop * rate
        self.length = round(self._step)
        self._by_segment: dict[int, Samples] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._by_segment)

    def write(self, position: int, samples: Samples) -> bool:
        """Write samples at `position`; return False if their segment was taken already."""
        stop = position + len(samples)
        earliest = max(int(position // self._step) - 1, 0)
        for index in range(max(earliest, self._next), int(stop // self._step) + 1):
            first = round(index * self._step)
            begin, end = max(position, first), min(stop, first + self.length)
            if begin < end:
                waveform = self._by_segment.setdefault(index, np.zeros(self.length, np.float32))
                waveform[begin - first : end - first] = samples[begin - position : end - position]
        return stop <= 0 or stop >= round(self._next * self._step)

    def take(self, index: int) -> Samples:
        """Return and forget the waveform of a segment; zeros where no samples were written."""
        self._next = index + 1
        waveform = self._by_segment.pop(index, None)
        return np.zeros(self.length, np.float32) if waveform is None else waveform

    def skip(self, index: int) -> None:
        """Forget the waveform of a segment that has no audio."""
        self._next = index + 1
        self._by_segment.pop(index, None)
