"""Decoded sound -> mono samples at the asked rate, each in its place in time."""

from typing import Any

import av
import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]

TOLERANCE = 0.05  # seconds by which sound may stray from its timestamps before it is moved; containers round to ms


def mono(frame: av.AudioFrame) -> Samples:
    """The mean of all channels (n_samples,) in [-1, 1], whatever the layout and the sample format."""
    raw: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:  # interleaved: one row of n_samples x n_channels
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    mean = raw.mean(axis=0, dtype=np.float32 if raw.dtype.itemsize <= 2 or raw.dtype == np.float32 else np.float64)
    if raw.dtype == np.uint8:
        mean = (mean - 128) / 128
    elif raw.dtype.kind == "i":
        mean = mean / -float(np.iinfo(raw.dtype).min)
    else:
        mean = np.nan_to_num(mean, posinf=1.0, neginf=-1.0)
    return np.asarray(mean, np.float32)


class _Run:
    """Sound without a hole at one rate; `time` in seconds, `position` in output samples from time 0."""

    def __init__(self, time: float, source_rate: int, rate: int) -> None:
        self.source_rate = source_rate
        self._time, self._rate = time, rate
        self._fed = 0
        self._given = 0
        self._first = round(time * rate)
        same = source_rate == rate
        self._stream = None if same else soxr.ResampleStream(source_rate, rate, 1, "float32")

    @property
    def end(self) -> float:
        return self._time + self._fed / self.source_rate

    @property
    def position(self) -> int:
        return self._first + self._given

    def add(self, samples: Samples, last: bool = False) -> tuple[int, Samples]:
        self._fed += len(samples)
        if self._stream is not None:
            samples = self._stream.resample_chunk(samples, last=last)
        position = self.position
        self._given += len(samples)
        return position, np.clip(samples, -1.0, 1.0)


class SoundTrack:
    """Lays chunks of sound on the line of time, at another rate.

    Holes stay silent, what comes twice is dropped. `start` and `end` are its extent in seconds; before `mark`
    nothing more will come.
    """

    def __init__(self, rate: int) -> None:
        self.start: float | None = None
        self.end = 0.0
        self._rate = rate
        self._run: _Run | None = None

    @property
    def mark(self) -> float:
        """Seconds up to which the sound is complete."""
        return self._run.position / self._rate if self._run else self.end

    def add(self, time: float, rate: int, samples: Samples) -> list[tuple[int, Samples]]:
        """Take `samples` (n,) at `rate` Hz from `time` on; give (position, samples) at the asked rate."""
        done: list[tuple[int, Samples]] = []
        if self._run is not None:
            late = time - self._run.end
            if late < -TOLERANCE:
                samples = samples[round(-late * rate) :]
            if late <= TOLERANCE:
                time = self._run.end
            if late > TOLERANCE or rate != self._run.source_rate:
                done = self.finish()
        if not len(samples):
            return done
        if self._run is None:
            self._run = _Run(time, rate, self._rate)
            self.start = time if self.start is None else self.start
        done.append(self._run.add(samples))
        self.end = self._run.end
        return done

    def finish(self) -> list[tuple[int, Samples]]:
        """What the resampler still holds."""
        run, self._run = self._run, None
        return [run.add(np.zeros(0, np.float32), last=True)] if run else []


class Waveforms:
    """One waveform (hop x rate,) per segment that sound has reached and nobody has taken yet."""

    def __init__(self, hop: float, rate: int) -> None:
        self._step = hop * rate
        self.length = round(self._step)
        self._by_segment: dict[int, Samples] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._by_segment)

    def write(self, position: int, samples: Samples) -> bool:
        """Put samples at `position`; False if they come too late for a segment that was taken."""
        stop = position + len(samples)
        wanted = max(int(position // self._step) - 1, 0)
        for index in range(max(wanted, self._next), int(stop // self._step) + 1):
            first = round(index * self._step)
            begin, end = max(position, first), min(stop, first + self.length)
            if begin < end:
                waveform = self._by_segment.setdefault(index, np.zeros(self.length, np.float32))
                waveform[begin - first : end - first] = samples[begin - position : end - position]
        return stop <= 0 or stop >= round(self._next * self._step)

    def take(self, index: int) -> Samples:
        """The waveform of a segment; silence where none was written."""
        self._next = index + 1
        waveform = self._by_segment.pop(index, None)
        return np.zeros(self.length, np.float32) if waveform is None else waveform

    def skip(self, index: int) -> None:
        """Let go of a segment that has no sound."""
        self._next = index + 1
        self._by_segment.pop(index, None)
