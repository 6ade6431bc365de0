"""Rows of the segment store to a network's inputs: varied for training, plain for validation.

What a reader returns depends on the plan and the rows or the micro-batch alone, in whatever process it runs.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.rows import from_jpeg, from_pcm
from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.features.logmel import LogMelSpec, log_mel
from avscene.models.cnn.audio_cnn import waveforms_to_tensor
from avscene.records import FloatArray
from avscene.training.fine_tuning import augment
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.schedule import Draw, MicroBatch, random_for
from avscene.training.rows import stretches

STATISTICS_ROWS = 4096  # of the training rows: enough for the mean and deviation of a mel band
_CHUNK = 64  # rows read at a time


class InputReader(Protocol):
    """Rows of the store to a network's inputs."""

    def varied(self, micro: MicroBatch) -> Tensor:
        """Inputs of the micro-batch's rows, augmented."""
        ...

    def plain(self, rows: Sequence[int]) -> Tensor:
        """Inputs of `rows` as a trained model sees them."""
        ...


class AudioReader:
    """Log-mels (n, n_mels, n_times) in dB. `level` (n_mels,) is what SpecAugment puts in place of what it hides.

    A random crop reaches from a row into the one before or after it, if that belongs to the same recording and to
    `train_rows`.
    """

    def __init__(self, store: SegmentStore, train_rows: Sequence[int], plan: NetworkPlan, level: Tensor) -> None:
        self._store = store
        self._plan = plan
        self._level = level
        self._stretches = stretches(store, train_rows) if plan.audio.random_crop else {}

    def varied(self, micro: MicroBatch) -> Tensor:
        """Log-mels of random seconds around the micro-batch's rows, shifted and masked."""
        randoms = [random_for(Draw.ROW, self._plan.seed, micro.epoch, row) for row in micro.rows]
        taken = [self._stretch(row, random) for row, random in zip(micro.rows, randoms, strict=True)]
        wanted = sorted({row for stretch in taken for row in stretch})
        read = dict(zip(wanted, waveforms(self._store, wanted), strict=True))
        cuts = []
        for row, stretch, random in zip(micro.rows, taken, randoms, strict=True):
            cut = augment.crop(np.concatenate([read[part] for part in stretch]), len(read[row]), random)
            cut = augment.time_shift(cut, self._plan.audio.time_shift, random)
            cuts.append(augment.gain(cut, self._plan.audio.gain, random) if self._plan.audio.gain else cut)
        mels = log_mel(waveforms_to_tensor(cuts), self._plan.log_mel)
        return torch.stack([self._masked(mel, random) for mel, random in zip(mels, randoms, strict=True)])

    def plain(self, rows: Sequence[int]) -> Tensor:
        """Log-mels of the rows as they are."""
        return log_mel(waveforms_to_tensor(waveforms(self._store, rows)), self._plan.log_mel)

    def _stretch(self, row: int, random: np.random.Generator) -> tuple[int, ...]:
        choices = self._stretches.get(row) or ((row,),)
        return choices[int(random.integers(len(choices)))]

    def _masked(self, mel: Tensor, random: np.random.Generator) -> Tensor:
        audio = self._plan.audio
        for _ in range(audio.frequency_masks):
            mel = augment.hide(mel, 0, audio.frequency_mask, self._level, random)
        for _ in range(audio.time_masks):
            mel = augment.hide(mel, 1, audio.time_mask, self._level, random)
        return mel


class FrameReader:
    """Images (n, 3, size, size), normalised as the network wants them."""

    def __init__(self, store: SegmentStore, plan: NetworkPlan, spec: FrameSpec) -> None:
        self._store = store
        self._plan = plan
        self._spec = spec

    def varied(self, micro: MicroBatch) -> Tensor:
        """A random frame of each of the micro-batch's rows, cropped, mirrored and distorted."""
        stored = self._store.raw(micro.rows, ("video",))
        images = []
        for row, segment in zip(micro.rows, stored, strict=True):
            random = random_for(Draw.ROW, self._plan.seed, micro.epoch, row)
            middle, count = len(segment.frames) // 2, len(segment.frames)
            chosen = int(random.integers(count)) if self._plan.frames.random_frame else middle
            images.append(self._varied(segment.frames[chosen], random))
        pixels = torch.stack(images).float().div_(255)
        normalised: Tensor = transforms.normalize(pixels, list(self._spec.mean), list(self._spec.std), inplace=True)
        return normalised

    def plain(self, rows: Sequence[int]) -> Tensor:
        """The middle frame of each of the rows."""
        segments = self._store.segments(rows, modalities=("video",))
        return frames_to_tensor([segment.frames[0].pixels for segment in segments], self._spec)

    def _varied(self, jpeg: bytes, random: np.random.Generator) -> Tensor:
        augmentation = self._plan.frames
        image = torch.from_numpy(from_jpeg(jpeg)).permute(2, 0, 1)
        image = augment.resized_crop(image, self._spec.size, augmentation.crop_scale, self._spec.interpolation, random)
        image = augment.flip(image, augmentation.flip, random)
        return augment.rand_augment(image, augmentation.rand_augment, random) if augmentation.rand_augment else image


def waveforms(store: SegmentStore, rows: Sequence[int]) -> list[FloatArray]:
    """Sound (samples,) in [-1, 1] of each of `rows`, all of which have it."""
    stored = store.raw(rows, ("audio",))
    return [from_pcm(segment.waveform) for segment in stored if segment.waveform is not None]


def band_statistics(store: SegmentStore, rows: Sequence[int], spec: LogMelSpec) -> tuple[Tensor, Tensor]:
    """Mean and deviation (n_mels,) in dB of each mel band over `rows`, or STATISTICS_ROWS of them evenly spaced."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), STATISTICS_ROWS)).astype(int)
    count, total, squares = 0, torch.zeros(spec.n_mels).double(), torch.zeros(spec.n_mels).double()
    for first in range(0, len(places), _CHUNK):
        chosen = [rows[place] for place in places[first : first + _CHUNK]]
        mels = log_mel(waveforms_to_tensor(waveforms(store, chosen)), spec).double()
        count += mels.shape[0] * mels.shape[2]
        total += mels.sum((0, 2))
        squares += mels.square().sum((0, 2))
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp_min(0).sqrt().float()
