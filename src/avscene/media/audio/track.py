"""Place decoded audio on the recording's time axis, as mono waveforms at the requested sample rate."""

import numpy as np
import soxr

from avscene.media.audio.downmix import Downmix
from avscene.media.audio.samples import Samples

# Seconds by which audio may deviate from its timestamps before it is moved; containers round them to milliseconds.
TIMESTAMP_TOLERANCE = 0.05
MIN_COVERAGE = 0.5  # of a segment by audio, as of the hop by the last segment
COVERAGE_TOLERANCE = 1e-3  # seconds; containers round to milliseconds
MIN_HOLE = 0.5  # seconds; a shorter gap leaves every segment of a second most of its audio


class _ContinuousAudio:
    """Mono, resampled audio without gaps; `position` is that of the next output sample, counted from time 0."""

    def __init__(self, start: float, source_rate: int, rate: int) -> None:
        self.source_rate = source_rate
        self._downmix = Downmix(source_rate)
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

    def add(self, channels: Samples) -> tuple[int, Samples]:
        self._n_in += channels.shape[1]
        return self._resampled(self._downmix.add(channels))

    def finish(self) -> tuple[int, Samples]:
        return self._resampled(self._downmix.finish(), last=True)

    def _resampled(self, samples: Samples, last: bool = False) -> tuple[int, Samples]:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        position = self.position
        self._n_out += len(samples)
        return position, np.clip(samples, -1.0, 1.0)


class AudioTrack:
    """Mixes blocks of audio to mono, resamples them and places them on the recording's time axis.

    Gaps in the timestamps are left out of the output and overlaps are dropped. `start` and `end` are the extent of the
    audio in seconds, `holes` are the long gaps: their beginnings and ends.
    """

    def __init__(self, rate: int) -> None:
        self.start: float | None = None
        self.end = 0.0
        self.holes: list[tuple[float, float]] = []
        self._rate = rate
        self._current: _ContinuousAudio | None = None

    @property
    def complete_until(self) -> float:
        """Seconds up to which the output is complete."""
        return self._current.position / self._rate if self._current else self.end

    def add(self, time: float, rate: int, samples: Samples) -> list[tuple[int, Samples]]:
        """Take `samples` (n_channels, n), or (n,) of one channel, at `rate` Hz that start at `time` seconds.

        Returns:
            Pairs of (position of the first sample, samples) at the output rate.
        """
        done: list[tuple[int, Samples]] = []
        channels = np.atleast_2d(samples)
        if self._current is not None:
            gap = time - self._current.end
            if gap < -TIMESTAMP_TOLERANCE:
                channels = channels[:, round(-gap * rate) :]
            if gap <= TIMESTAMP_TOLERANCE:
                time = self._current.end
            if gap >= MIN_HOLE:
                self.holes.append((self._current.end, time))
            if gap > TIMESTAMP_TOLERANCE or rate != self._current.source_rate:
                done = self.finish()
        if not channels.shape[1]:
            return done
        if self._current is None:
            self._current = _ContinuousAudio(time, rate, self._rate)
            self.start = time if self.start is None else self.start
        done.append(self._current.add(channels))
        self.end = self._current.end
        return done

    def finish(self) -> list[tuple[int, Samples]]:
        """Return the samples that still wait to be mixed or resampled."""
        current, self._current = self._current, None
        return [current.finish()] if current else []


class SegmentWaveforms:
    """Waveforms (hop x rate,) of the segments that have audio and were not taken yet."""

    def __init__(self, hop: float, rate: int) -> None:
        self._step = hop * rate
        self._rate = rate
        self.length = round(self._step)
        self._by_segment: dict[int, Samples] = {}
        self._n_written: dict[int, int] = {}  # samples of each of them
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
                self._n_written[index] = self._n_written.get(index, 0) + end - begin
        return stop <= 0 or stop >= round(self._next * self._step)

    def take(self, index: int, seconds: float) -> Samples | None:
        """Return and forget the waveform of a segment of so many seconds, with zeros where no samples were written.

        None if the samples are of less than half of the segment.
        """
        self._next = index + 1
        waveform = self._by_segment.pop(index, None)
        covered = self._n_written.pop(index, 0) / self._rate
        return waveform if covered >= MIN_COVERAGE * seconds - COVERAGE_TOLERANCE else None
