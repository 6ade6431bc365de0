"""Measure the peaks of audio of any length, in memory that does not grow with it."""

from math import ceil

import numpy as np

from avscene.records import FloatArray

SAMPLE_RATE = 48_000  # Hz; at a lower one, the peaks of high tones would be too small
MAX_PEAKS = 4096
PEAKS_PER_SECOND = 1000  # of short recordings
_HOP_BINS, _BIN = 512, 6  # bins of a segment, samples of a bin, as long as bins are not merged
HOP = _HOP_BINS * _BIN / SAMPLE_RATE  # 0.064 seconds of a segment; half of one may be missing at the end
_MAX_BINS = 16 * MAX_PEAKS  # a peak consists of eight or more: its ends are off by an eighth of its width at most


class PeakMeter:
    """Takes segments of HOP seconds; returns the smallest and largest samples of equal parts of the recording.

    There are two arrays of bins. When they are full, pairs of bins are merged, so that each is twice as long.
    """

    def __init__(self) -> None:
        self._low = np.full(_MAX_BINS, np.inf, np.float32)
        self._high = np.full(_MAX_BINS, -np.inf, np.float32)
        self._merged = 0  # how often bins were merged

    def add(self, number: int, waveform: FloatArray) -> None:
        """Take the samples (HOP * SAMPLE_RATE,) of segment `number`."""
        while (number + 1) * _HOP_BINS > _MAX_BINS << self._merged:
            self._merge()
        parts = waveform.reshape(max(_HOP_BINS >> self._merged, 1), -1)
        first = number * _HOP_BINS >> self._merged
        bins = slice(first, first + len(parts))
        np.minimum(self._low[bins], parts.min(axis=1), out=self._low[bins])
        np.maximum(self._high[bins], parts.max(axis=1), out=self._high[bins])

    def peaks(self, duration: float) -> list[tuple[float, float]] | None:
        """Return at most MAX_PEAKS pairs of the smallest and the largest sample; zeros where there is no audio.

        Args:
            duration: of the recording in seconds, of which each pair covers the same part.

        Returns:
            The pairs, with two decimals in [-1, 1]; None if no audio was added.
        """
        if not np.isfinite(self._low).any() or duration <= 0:
            return None
        n_bins = duration * SAMPLE_RATE / (_BIN << self._merged)
        count = min(MAX_PEAKS, ceil(duration * PEAKS_PER_SECOND))
        return [self._peak(k * n_bins / count, (k + 1) * n_bins / count) for k in range(count)]

    def _peak(self, start: float, end: float) -> tuple[float, float]:
        bins = slice(int(start), max(ceil(end), int(start) + 1))
        low, high = float(self._low[bins].min(initial=np.inf)), float(self._high[bins].max(initial=-np.inf))
        if low > high:
            return 0.0, 0.0
        return _sample(low), _sample(high)

    def _merge(self) -> None:
        half = _MAX_BINS // 2
        for bins, merge, empty in ((self._low, np.minimum, np.inf), (self._high, np.maximum, -np.inf)):
            bins[:half] = merge(bins[::2], bins[1::2])
            bins[half:] = empty
        self._merged += 1


def _sample(value: float) -> float:
    return round(min(max(value, -1.0), 1.0), 2) + 0.0  # never -0.0
