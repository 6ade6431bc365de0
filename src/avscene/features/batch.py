"""Prepare the inputs of networks for segments that are scored together, and map outputs back to segments."""

from collections.abc import Sequence
from functools import cached_property
from typing import Self, overload

import numpy as np
import torch
from torch import Tensor

from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.features.logmel import LogMelSpec, log_mel
from avscene.features.openl3 import BLANK_CROP, BLANK_LOG_MEL, one_second_windows, openl3_crops, openl3_log_mels
from avscene.records import ByteArray, FloatArray, Segment


class SegmentBatch(Sequence[Segment]):
    """Segments that are scored together by one or more models.

    Each kind of input is prepared once, on first use, for all models that share it. A frame that several segments share
    (of a slow camera, or a key frame) is prepared once.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = tuple(segments)
        self._frames: dict[FrameSpec, Tensor] = {}
        self._log_mels: dict[tuple[LogMelSpec, torch.device], Tensor] = {}

    @classmethod
    def of(cls, segments: Sequence[Segment]) -> Self:
        """Return `segments` as a batch, unchanged if they are one."""
        return segments if isinstance(segments, cls) else cls(segments)

    def __len__(self) -> int:
        return len(self._segments)

    @overload
    def __getitem__(self, index: int) -> Segment: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Segment, ...]: ...
    def __getitem__(self, index: int | slice) -> Segment | tuple[Segment, ...]:
        return self._segments[index]

    def frames(self, spec: FrameSpec) -> Tensor:
        """Return the distinct frames (n_frames, 3, size, size), preprocessed as `spec` says."""
        if spec not in self._frames:
            distinct = self._distinct_frames
            self._frames[spec] = frames_to_tensor(distinct, spec) if distinct else spec.blank[:0]
        return self._frames[spec]

    def average_over_frames(self, values: Tensor) -> FloatArray:
        """Average values of the distinct frames over the frames of each segment.

        Args:
            values: (n_frames, n_values), in the order of `frames`.

        Returns:
            (n_segments, n_values); a row is NaN if the segment has no frames.
        """
        if not len(values):
            return self._nothing(values)
        by_frame = values.numpy()
        rows = np.full((len(self), by_frame.shape[1]), np.nan, by_frame.dtype)
        for row, positions in enumerate(self._frame_positions):
            if positions:
                rows[row] = by_frame[positions].mean(axis=0)
        return rows

    def log_mels(self, spec: LogMelSpec, device: torch.device) -> Tensor:
        """Return log-mels (n_with_audio, n_mels, n_times) in dB of the segments that have audio, in order."""
        if (spec, device) not in self._log_mels:
            waveforms = [segment.waveform for segment in self if segment.waveform is not None]
            self._log_mels[spec, device] = (
                log_mel(torch.from_numpy(np.stack(waveforms)).to(device), spec)
                if waveforms
                else spec.blank[:0].to(device)
            )
        return self._log_mels[spec, device]

    def align_audio(self, values: Tensor) -> FloatArray:
        """Put values of the segments that have audio into the rows of all segments.

        Args:
            values: (n_with_audio, n_values), in the order of `log_mels`.

        Returns:
            (n_segments, n_values); a row is NaN if the segment has no audio.
        """
        return self._aligned(values, self._rows_with_audio)

    @cached_property
    def openl3_log_mels(self) -> Tensor:
        """Log-mels (n_windows, 1, 256, 199) of each second of audio, for OpenL3's audio network."""
        if not self._rows_with_audio:
            return BLANK_LOG_MEL[:0]
        return openl3_log_mels(torch.from_numpy(np.concatenate(self._one_second_windows)))

    def average_over_windows(self, values: Tensor) -> FloatArray:
        """Average values of one-second windows over the seconds of each segment.

        Args:
            values: (n_windows, n_values), in the order of `openl3_log_mels`.

        Returns:
            (n_segments, n_values); a row is NaN if the segment has no audio.
        """
        if not len(values):
            return self._nothing(values)
        parts = torch.split(values, [len(windows) for windows in self._one_second_windows])
        return self.align_audio(torch.stack([part.mean(0) for part in parts]))

    @cached_property
    def openl3_crops(self) -> Tensor:
        """Crops (n_with_video, 3, 224, 224) of the middle frames of the segments that have video, for OpenL3."""
        middle = [segment.frames[len(segment.frames) // 2].pixels for segment in self if segment.frames]
        return openl3_crops(middle) if middle else BLANK_CROP[:0]

    def align_video(self, values: Tensor) -> FloatArray:
        """Put values of the segments that have video into the rows of all segments.

        Args:
            values: (n_with_video, n_values), in the order of `openl3_crops`.

        Returns:
            (n_segments, n_values); a row is NaN if the segment has no frames.
        """
        return self._aligned(values, [row for row, segment in enumerate(self) if segment.frames])

    def _aligned(self, values: Tensor, rows: list[int]) -> FloatArray:
        if not rows:
            return self._nothing(values)
        found = values.numpy()
        aligned = np.full((len(self), found.shape[1]), np.nan, found.dtype)
        aligned[rows] = found
        return aligned

    def _nothing(self, values: Tensor) -> FloatArray:
        """Rows of NaN as wide as `values`, which are of no segment."""
        return np.full((len(self), values.shape[1]), np.nan)

    @cached_property
    def _rows_with_audio(self) -> list[int]:
        return [row for row, segment in enumerate(self) if segment.waveform is not None]

    @cached_property
    def _one_second_windows(self) -> list[FloatArray]:
        return [one_second_windows(segment.waveform) for segment in self if segment.waveform is not None]

    @cached_property
    def _frame_positions(self) -> list[list[int]]:
        """For each segment, the positions of its frames among the distinct ones."""
        position: dict[int, int] = {}  # by identity: a frame that several segments share is one object
        return [[position.setdefault(id(f.pixels), len(position)) for f in segment.frames] for segment in self]

    @cached_property
    def _distinct_frames(self) -> list[ByteArray]:
        by_identity = {id(frame.pixels): frame.pixels for segment in self for frame in segment.frames}
        return list(by_identity.values())
