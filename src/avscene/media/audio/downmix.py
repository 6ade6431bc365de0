"""Mix the channels of audio to mono: their mean, after channels in opposite phase were inverted."""

import numpy as np
import numpy.typing as npt

from avscene.media.audio.samples import Samples

BLOCK = 1.0  # seconds that are judged at once
MAX_BLOCK = 2**20  # samples, of audio at rates of MHz
MIN_BLOCK = 0.1  # seconds; a shorter one at the beginning is averaged
# The power that the sum of two channels has more than the channels themselves, as a share of the latter: 1 if they are
# equal, 0 if they are independent, -1 if they are opposite. At and below OPPOSITE, one of them is inverted, until the
# share is above NOT_OPPOSITE. In ordinary recordings in stereo it was not below -0.1 in any second.
OPPOSITE, NOT_OPPOSITE = -0.7, -0.4
ALIKE = 0.7  # from which on a channel is inverted together with another
# Seconds between the samples whose differences are compared: rumble and offsets, which differ by chance, drop out.
LAG = 1 / 400
FADE = 0.02  # seconds in which an inversion begins or ends

Signs = npt.NDArray[np.float32]


def to_mono(channels: Samples) -> Samples:
    """Average the channels (n_channels, n_samples): (n_samples,)."""
    mean: Samples = channels.mean(axis=0)
    return mean


class Downmix:
    """Mixes continuous audio of one sample rate to mono.

    Where two channels are in opposite phase, as a wrongly wired cable makes them, their mean is silence. One of them is
    inverted there. Each block of BLOCK seconds from the beginning is judged by itself, so that the result does not
    depend on how a decoder divides the audio. Without opposite channels, the result is exactly the mean.

    Args:
        rate: The sample rate in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._length = min(round(BLOCK * rate), MAX_BLOCK)
        self._waiting: list[Samples] = []
        self._n_waiting = 0
        self._signs: Signs | None = None  # of the channels in the block before; None: there was none

    def add(self, channels: Samples) -> Samples:
        """Take samples (n_channels, n); return the mono samples that are ready. Another n_channels begins a block."""
        if self._waiting and len(channels) != len(self._waiting[0]):
            before = self.finish()
            self._signs = None
            return np.concatenate([before, self.add(channels)])
        if len(channels) == 1:
            return to_mono(channels)
        self._waiting.append(channels)
        self._n_waiting += channels.shape[1]
        if self._n_waiting < self._length:
            return np.zeros(0, np.float32)
        joined = self._joined()
        stops = range(self._length, joined.shape[1] + 1, self._length)
        mixed = [self._mix(joined[:, stop - self._length : stop]) for stop in stops]
        rest = joined[:, stops[-1] :].copy()
        self._waiting, self._n_waiting = [rest], rest.shape[1]
        return np.concatenate(mixed)

    def finish(self) -> Samples:
        """Return the last samples, of a block that is not complete."""
        if not self._n_waiting:
            return np.zeros(0, np.float32)
        rest = self._joined()
        self._waiting, self._n_waiting = [], 0
        return self._mix(rest)

    def _joined(self) -> Samples:
        """Return what waits (n_channels, n), in an order in memory that does not depend on the decoder: sums round."""
        return np.ascontiguousarray(np.concatenate(self._waiting, axis=1))

    def _mix(self, block: Samples) -> Samples:
        before = self._signs
        is_short = block.shape[1] < (MIN_BLOCK * self._rate if before is None else self._length / 2)
        if not is_short:
            self._signs = channel_signs(block, max(round(LAG * self._rate), 1), before)
        signs = np.ones(len(block), np.float32) if self._signs is None else self._signs
        before = signs if before is None else before
        if (signs > 0).all() and (before > 0).all():
            return to_mono(block)
        weighted = block * signs[:, None]
        if not np.array_equal(signs, before):
            n_fade = min(round(FADE * self._rate), block.shape[1])
            share = np.linspace(0, 1, n_fade, endpoint=False, dtype=np.float32)
            weighted[:, :n_fade] = block[:, :n_fade] * (before[:, None] + np.outer(signs - before, share))
        return to_mono(weighted)


def channel_signs(block: Samples, lag: int, before: Signs | None = None) -> Signs:
    """Return (n_channels,) 1 for channels to add and -1 for channels to invert; the first one is never inverted.

    Args:
        block: Samples (n_channels, n_samples).
        lag: Samples between those whose differences are compared.
        before: The signs of the block before. Channels without audio keep them.
    """
    differences = np.subtract(block[:, lag:], block[:, :-lag], dtype=np.float64)
    products = differences @ differences.T
    power = np.diag(products)
    total = power[:, None] + power
    gains = np.divide(2 * products, total, out=np.zeros_like(products), where=total > 0)
    earlier = np.ones(len(block), np.float32) if before is None else before
    signs = np.ones(len(block), np.float32)
    for channel in range(1, len(block)):
        if not power[channel]:
            signs[channel] = earlier[channel]
            continue
        found = gains[channel, :channel]
        was_opposite = earlier[:channel] != earlier[channel]
        opposite = np.where(found <= np.where(was_opposite, NOT_OPPOSITE, OPPOSITE), found, 0)
        if opposite.any():
            signs[channel] = -signs[opposite.argmin()]
        elif found.max() >= ALIKE:
            signs[channel] = signs[found.argmax()]
    return signs
