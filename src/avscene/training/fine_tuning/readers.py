"""Read rows of a segment store as a network's inputs: augmented for training, clean for validation.

The inputs depend only on the plan and on the rows or the micro-batch, not on the process that reads them.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.rows import decode_frame
from avscene.features.content import DEFAULT_CONTENT, has_content
from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.features.logmel import LogMelSpec, log_mel
from avscene.models.cnn.audio_cnn import waveforms_to_tensor
from avscene.records import ByteArray, FloatArray
from avscene.training import augment
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.rows import adjacent_pairs
from avscene.training.fine_tuning.schedule import MicroBatch, RandomStream, random_for

STATISTICS_ROWS = 4096  # of the training rows: enough for the mean and deviation of a mel band
_CHUNK = 64  # rows read at a time


class InputReader(Protocol):
    """Reads rows of the store as a network's inputs."""

    def augmented(self, micro: MicroBatch) -> Tensor:
        """Return augmented inputs of the micro-batch's rows."""
        ...

    def clean(self, rows: Sequence[int]) -> Tensor:
        """Return inputs of `rows` without augmentation, as for a trained model."""
        ...


class AudioReader:
    """Reads log-mels (n, n_mels, n_times) in dB; SpecAugment sets what it masks to `level` (n_mels,).

    A random crop extends from a row into the one before or after it, if that belongs to the same recording and to
    `train_rows`.
    """

    def __init__(self, store: SegmentStore, train_rows: Sequence[int], plan: NetworkPlan, level: Tensor) -> None:
        self._store = store
        self._plan = plan
        self._level = level
        self._adjacent_pairs = adjacent_pairs(store, train_rows) if plan.audio.random_crop else {}

    def augmented(self, micro: MicroBatch) -> Tensor:
        """Return log-mels of random crops around the micro-batch's rows, shifted and masked."""
        randoms = [random_for(RandomStream.ROW, self._plan.seed, micro.epoch, row) for row in micro.rows]
        chosen = [self._crop_rows(row, random) for row, random in zip(micro.rows, randoms, strict=True)]
        wanted = sorted({row for parts in chosen for row in parts})
        read = dict(zip(wanted, waveforms(self._store, wanted), strict=True))
        crops = []
        for row, parts, random in zip(micro.rows, chosen, randoms, strict=True):
            crop = augment.crop(np.concatenate([read[part] for part in parts]), len(read[row]), random)
            crop = augment.time_shift(crop, self._plan.audio.time_shift, random)
            crops.append(augment.gain(crop, self._plan.audio.gain, random) if self._plan.audio.gain else crop)
        mels = log_mel(waveforms_to_tensor(crops), self._plan.log_mel)
        return torch.stack([self._limited_and_masked(mel, random) for mel, random in zip(mels, randoms, strict=True)])

    def clean(self, rows: Sequence[int]) -> Tensor:
        """Return log-mels of `rows` without augmentation."""
        return log_mel(waveforms_to_tensor(waveforms(self._store, rows)), self._plan.log_mel)

    def _crop_rows(self, row: int, random: np.random.Generator) -> tuple[int, ...]:
        choices = self._adjacent_pairs.get(row) or ((row,),)
        return choices[int(random.integers(len(choices)))]

    def _limited_and_masked(self, mel: Tensor, random: np.random.Generator) -> Tensor:
        audio = self._plan.audio
        mel = augment.limit_band(mel, self._plan.log_mel, audio.limited_band, random)
        for _ in range(audio.frequency_masks):
            mel = augment.mask(mel, 0, audio.frequency_mask, self._level, random)
        for _ in range(audio.time_masks):
            mel = augment.mask(mel, 1, audio.time_mask, self._level, random)
        return mel


class FrameReader:
    """Reads frames (n, 3, size, size), normalised for the network."""

    def __init__(self, store: SegmentStore, plan: NetworkPlan, spec: FrameSpec) -> None:
        self._store = store
        self._plan = plan
        self._spec = spec

    def augmented(self, micro: MicroBatch) -> Tensor:
        """Return a random frame with content of each of the micro-batch's rows, cropped, mirrored and distorted."""
        stored = self._store.raw(micro.rows, ("video",))
        images = []
        for row, segment in zip(micro.rows, stored, strict=True):
            random = random_for(RandomStream.ROW, self._plan.seed, micro.epoch, row)
            middle, count = len(segment.frames) // 2, len(segment.frames)
            chosen = int(random.integers(count)) if self._plan.frames.random_frame else middle
            pixels = decode_frame(segment.frames[chosen])
            if chosen != middle and not has_content(pixels, DEFAULT_CONTENT):
                pixels = decode_frame(segment.frames[middle])
            images.append(self._augmented_frame(pixels, random))
        batch = torch.stack(images).float().div_(255)
        normalised: Tensor = transforms.normalize(batch, list(self._spec.mean), list(self._spec.std), inplace=True)
        return normalised

    def clean(self, rows: Sequence[int]) -> Tensor:
        """Return the middle frame of each of `rows`."""
        segments = self._store.segments(rows, modalities=("video",))
        return frames_to_tensor([segment.frames[0].pixels for segment in segments], self._spec)

    def _augmented_frame(self, pixels: ByteArray, random: np.random.Generator) -> Tensor:
        augmentation = self._plan.frames
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        image = augment.resized_crop(image, self._spec.size, augmentation.crop_scale, self._spec.interpolation, random)
        image = augment.flip(image, augmentation.flip, random)
        return augment.rand_augment(image, augmentation.rand_augment, random) if augmentation.rand_augment else image


def waveforms(store: SegmentStore, rows: Sequence[int]) -> list[FloatArray]:
    """Return the waveform (n_samples,) in [-1, 1] of each of `rows`, all of which have audio."""
    stored = store.raw(rows, ("audio",))
    return [segment.waveform for segment in stored if segment.waveform is not None]


def store_band_statistics(store: SegmentStore, rows: Sequence[int], spec: LogMelSpec) -> tuple[Tensor, Tensor]:
    """Return mean and deviation (n_mels,) in dB of each band over at most STATISTICS_ROWS evenly spaced `rows`."""
    positions = np.linspace(0, len(rows) - 1, min(len(rows), STATISTICS_ROWS)).astype(int)
    count, total, squares = 0, torch.zeros(spec.n_mels).double(), torch.zeros(spec.n_mels).double()
    for first in range(0, len(positions), _CHUNK):
        chosen = [rows[position] for position in positions[first : first + _CHUNK]]
        mels = log_mel(waveforms_to_tensor(waveforms(store, chosen)), spec).double()
        count += mels.shape[0] * mels.shape[2]
        total += mels.sum((0, 2))
        squares += mels.square().sum((0, 2))
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp_min(0).sqrt().float()
