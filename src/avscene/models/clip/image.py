"""Compute image embeddings of frames with a frozen CLIP."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.nn.functional import normalize

from avscene.features.batch import SegmentBatch
from avscene.features.frames import FrameSpec
from avscene.files import sha256_of
from avscene.models.clip.zero_shot import clip_frame_spec, read_clip
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.models.weights import hub
from avscene.records import FloatArray, Modality, Segment


class ClipImageEncoder:
    """CLIP's image encoder. Embeddings have length 1, as when CLIP compares them with text.

    The embedding of a segment is the mean over its frames, scaled to length 1 again.
    """

    needs: Modality = "video"
    sample_rate = None

    def __init__(self, visual: Any, spec: FrameSpec, key: str, runtime: Runtime) -> None:
        self.spec = spec
        self.key = key
        self.embedding_size = int(visual.output_dim)  # 640 of RN50x4, 512 of RN101 and ViT-B/32
        self._visual = Inference(visual, [spec.blank], runtime)
        self.networks = {"image": self._visual}

    @classmethod
    def load(cls, repo_id: str, runtime: Runtime) -> "ClipImageEncoder":
        """Load the image encoder of the CLIP in hub repository `repo_id`, from the cache or the hub.

        Raises:
            WeightsError: the weights cannot be fetched, or are not exactly those of the model in their configuration.
        """
        snapshot = hub.fetch(repo_id, hub.OPEN_CLIP_FILES, offline=runtime.offline, progress=runtime.progress)
        visual = read_clip(repo_id, snapshot).visual
        spec = clip_frame_spec(repo_id, visual.preprocess_cfg)
        return cls(visual, spec, f"{repo_id} {sha256_of(snapshot / hub.WEIGHTS_FILE)} {spec}", runtime)

    @property
    def frame_size(self) -> int:
        """Shorter side in pixels to which frames are scaled."""
        return self.spec.resize

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return float32 embeddings (n_segments, embedding_size) of length 1; NaN rows for segments without frames."""
        batch = SegmentBatch.of(segments)
        by_frame = normalize(self._visual(batch.frames(self.spec)), dim=-1)
        means = batch.average_over_frames(by_frame)
        lengths: FloatArray = np.linalg.norm(means, axis=1, keepdims=True)
        return means / lengths
