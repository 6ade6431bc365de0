"""Frames in, embeddings out: the image tower of a CLIP, frozen, as an encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import normalize

from avscene.features.frames import FrameSpec
from avscene.models import hub
from avscene.models.checksum import sha256_of
from avscene.models.clip_zero_shot import embed_images, frame_spec, read_clip
from avscene.models.device import Runtime
from avscene.records import FloatArray, Modality, Segment


class ClipImageEncoder:
    """CLIP's image embeddings, of length 1 as where CLIP compares them with text; the text tower is left out.

    A segment of several frames has the mean of their embeddings, scaled to length 1 again.
    """

    needs: Modality = "video"
    sample_rate = None

    def __init__(self, visual: nn.Module, spec: FrameSpec, key: str, runtime: Runtime) -> None:
        self.spec = spec
        self.key = key
        self._visual = visual.to(runtime.device, runtime.dtype).to(memory_format=torch.channels_last)

    @classmethod
    def load(cls, repo_id: str, runtime: Runtime) -> "ClipImageEncoder":
        """The image tower of the CLIP in hub repo `repo_id`, from the cache or the hub.

        Raises:
            WeightsError: the weights cannot be had, or are not exactly those of the model in their config.
        """
        snapshot = hub.fetch(repo_id, hub.OPEN_CLIP_FILES, offline=runtime.offline)
        visual = read_clip(repo_id, snapshot).visual
        spec = frame_spec(repo_id, visual.preprocess_cfg)
        return cls(visual, spec, f"{repo_id} {sha256_of(snapshot / hub.WEIGHTS_FILE)} {spec}", runtime)

    @property
    def frame_size(self) -> int:
        """Shorter side in pixels to which frames are scaled."""
        return self.spec.resize

    @property
    def embedding_size(self) -> int:
        """Length of an embedding: 640 of RN50x4, 512 of RN101 and ViT-B/32."""
        visual: Any = self._visual  # open_clip's modules carry no types
        return int(visual.output_dim)

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Float32 embeddings (n_segments, embedding_size) of length 1; NaN rows for segments without frames."""
        embeddings = np.full((len(segments), self.embedding_size), np.nan, np.float32)
        counts = {row: len(segment.frames) for row, segment in enumerate(segments) if segment.frames}
        if counts:
            images = [frame.pixels for segment in segments for frame in segment.frames]
            by_frame = embed_images(self._visual, images, self.spec).cpu()
            for row, frames in zip(counts, torch.split(by_frame, list(counts.values())), strict=True):
                embeddings[row] = normalize(frames.mean(0), dim=-1).numpy()
        return embeddings
