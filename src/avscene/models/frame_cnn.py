"""Frames in, probabilities out: a fine-tuned convolutional network."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from avscene.errors import CheckpointError
from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.labels import LabelSet
from avscene.models.backbones import blank_backbone
from avscene.models.block_network import blank_block_network
from avscene.models.device import Runtime
from avscene.models.strict import faults, fill
from avscene.records import ByteArray, FloatArray, Modality, SceneScores, Segment

BATCH = 32  # frames at a time, drawn across segments


class FrameCnn:
    """A fine-tuned network on frames as a scene model."""

    needs: Modality = "video"
    sample_rate = None

    def __init__(self, name: str, labels: LabelSet, network: nn.Module, spec: FrameSpec, runtime: Runtime) -> None:
        self.name = name
        self.labels = labels
        self.spec = spec
        self._runtime = runtime
        self._network = network.eval().requires_grad_(requires_grad=False)
        self._network.to(runtime.device, runtime.dtype).to(memory_format=torch.channels_last)

    @property
    def frame_size(self) -> int:
        """Shorter side in pixels that the front end asks of the decoder."""
        return self.spec.resize

    def score(self, segments: Sequence[Segment]) -> SceneScores:
        """Probabilities (n_segments, n_scenes): the mean over a segment's frames; NaN rows where there is none."""
        scores = np.full((len(segments), len(self.labels)), np.nan)
        counts = {row: len(segment.frames) for row, segment in enumerate(segments) if segment.frames}
        if counts:
            by_frame = self._score_images([frame.pixels for segment in segments for frame in segment.frames])
            ends = np.cumsum(list(counts.values()))
            for row, frames in zip(counts, np.split(by_frame, ends[:-1]), strict=True):
                scores[row] = frames.mean(axis=0)
        return SceneScores(self.labels, scores)

    @torch.inference_mode()
    def _score_images(self, images: Sequence[ByteArray]) -> FloatArray:
        """Probabilities (n_images, n_scenes)."""
        parts = []
        for first in range(0, len(images), BATCH):
            pixels = frames_to_tensor(images[first : first + BATCH], self.spec)
            pixels = pixels.to(self._runtime.device, self._runtime.dtype, memory_format=torch.channels_last)
            parts.append(self._network(pixels).double().softmax(dim=1).cpu().numpy())
        return np.concatenate(parts)


class FrameCnnPart(BaseModel):
    """What a checkpoint's configuration says of a FrameCnn; with `blocks` the network is a BlockNetwork."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["frame-cnn"] = "frame-cnn"
    name: str
    backbone: str
    frames: FrameSpec
    blocks: bool = False

    def build(self, labels: LabelSet, tensors: Mapping[str, Tensor], runtime: Runtime) -> FrameCnn:
        """The model with its weights.

        Raises:
            CheckpointError: the tensors are not exactly those of the network.
            UsageError: no such network.
        """
        blank = blank_block_network if self.blocks else blank_backbone
        network = blank(self.backbone, len(labels))
        if wrong := faults(network, tensors):
            raise CheckpointError(f"model {self.name!r}: its tensors are not those of {self.backbone}: {wrong}")
        fill(network, tensors)
        return FrameCnn(self.name, labels, network, self.frames, runtime)
