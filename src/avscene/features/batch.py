"""Segments that are scored together -> what front ends make of them, each thing once, and back to the segments."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Self, overload

import numpy as np
import torch
from torch import Tensor

from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.features.logmel import LogMelSpec, log_mel
from avscene.records import ByteArray, FloatArray, Segment

Network = Callable[[Tensor], Tensor]  # images or log-mels (n, ...) -> rows of figures (n, n_figures)


class SegmentBatch(Sequence[Segment]):
    """Some segments. Models that share a front end share its work.

    An image that several segments show (of a slow camera, or a key frame) is looked at once.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = tuple(segments)
        self._images: dict[FrameSpec, Tensor] = {}
        self._log_mels: dict[tuple[LogMelSpec, torch.device], Tensor] = {}

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Self:
        """The segments as a batch, and the batch itself if they are one."""
        return segments if isinstance(segments, cls) else cls(segments)

    def __len__(self) -> int:
        return len(self._segments)

    @overload
    def __getitem__(self, index: int) -> Segment: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Segment, ...]: ...
    def __getitem__(self, index: int | slice) -> Segment | tuple[Segment, ...]:
        return self._segments[index]

    @cached_property
    def sounding(self) -> list[int]:
        """Rows of the segments that have sound."""
        return [row for row, segment in enumerate(self) if segment.waveform is not None]

    def images(self, spec: FrameSpec) -> Tensor:
        """The distinct frames (n_frames, 3, size, size) as `spec` wants them."""
        if spec not in self._images:
            self._images[spec] = frames_to_tensor(self._distinct, spec)
        return self._images[spec]

    def log_mels(self, spec: LogMelSpec, device: torch.device) -> Tensor:
        """Log-mels (n_sounding, n_mels, n_times) in dB of the segments that have sound."""
        if (spec, device) not in self._log_mels:
            waveforms = np.stack([segment.waveform for segment in self if segment.waveform is not None])
            self._log_mels[spec, device] = log_mel(torch.from_numpy(waveforms).to(device), spec)
        return self._log_mels[spec, device]

    def seen(self, network: Network, spec: FrameSpec, n_figures: int) -> FloatArray:
        """(n_segments, n_figures): what `network` makes of a segment's frames, on average; NaN where there are none."""
        if not self._distinct:
            return np.full((len(self), n_figures), np.nan)
        by_frame = network(self.images(spec)).numpy()
        rows = np.full((len(self), n_figures), np.nan, by_frame.dtype)
        for row, positions in enumerate(self._positions):
            if positions:
                rows[row] = by_frame[positions].mean(axis=0)
        return rows

    def heard(self, network: Network, spec: LogMelSpec, n_figures: int, device: torch.device) -> FloatArray:
        """(n_segments, n_figures): what `network` makes of a segment's log-mel; NaN where there is no sound."""
        if not self.sounding:
            return np.full((len(self), n_figures), np.nan)
        by_sound = network(self.log_mels(spec, device)).numpy()
        rows = np.full((len(self), n_figures), np.nan, by_sound.dtype)
        rows[self.sounding] = by_sound
        return rows

    @cached_property
    def _positions(self) -> list[list[int]]:
        """For each segment, which of the distinct frames it shows."""
        known: dict[int, int] = {}  # by identity: a frame that serves several segments is one object
        return [[known.setdefault(id(f.pixels), len(known)) for f in segment.frames] for segment in self]

    @cached_property
    def _distinct(self) -> list[ByteArray]:
        by_identity = {id(frame.pixels): frame.pixels for segment in self for frame in segment.frames}
        return list(by_identity.values())
