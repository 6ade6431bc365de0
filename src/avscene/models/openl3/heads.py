"""Classify OpenL3 embeddings with the heads of the DCASE 2021 baseline: audio, video, or both.

Wang et al., "A Curated Dataset of Urban Scenes for Audio-Visual Scene Analysis", ICASSP 2021. Each branch is an MLP of
512-128-64 units; the fusion network joins the 128 values in the middle of two trained branches.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from avscene.errors import CheckpointError
from avscene.familiarity.detector import FamiliarityDetector
from avscene.labels import LabelSet
from avscene.models import SegmentEncoder
from avscene.models.device import Runtime
from avscene.models.familiarity_tensors import familiarity_detector, joined, without_familiarity
from avscene.models.inference import Inference
from avscene.models.weights.strict import faults, fill
from avscene.records import FloatArray, Needs, SceneProbabilities, Segment

EMBEDDING_SIZE, HIDDEN, MIDDLE, LAST = 512, 512, 128, 64
DROPOUT = 0.2
ENCODERS: dict[Needs, tuple[str, ...]] = {
    "audio": ("openl3-audio",),
    "video": ("openl3-image",),
    "both": ("openl3-audio", "openl3-image"),
}


class OpenL3Trunk(nn.Module):
    """The first part of a branch: standardise embeddings (n, size) with `mean` and `deviation`, and map to (n, 128)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int = EMBEDDING_SIZE) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))
        self.layers = nn.Sequential(*_block(size, HIDDEN), nn.Linear(HIDDEN, MIDDLE))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return values (n, 128) before batch norm and ReLU, as the baseline takes them."""
        middle: Tensor = self.layers((embeddings - self.mean) / self.deviation)
        return middle


class OpenL3Branch(nn.Module):
    """The head for one modality: embeddings (n, size) to logits (n, n_scenes)."""

    def __init__(self, n_scenes: int, size: int = EMBEDDING_SIZE) -> None:
        super().__init__()
        self.trunk = OpenL3Trunk(size)
        activated = (nn.BatchNorm1d(MIDDLE), nn.ReLU(), nn.Dropout(DROPOUT))
        self.top = nn.Sequential(*activated, *_block(MIDDLE, LAST), nn.Linear(LAST, n_scenes))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return logits (n, n_scenes)."""
        logits: Tensor = self.top(self.trunk(embeddings))
        return logits


class OpenL3Fusion(nn.Module):
    """The head for both modalities, on two trained trunks: embeddings (n, size) of each to logits (n, n_scenes)."""

    def __init__(self, n_scenes: int, sizes: Sequence[int] = (EMBEDDING_SIZE, EMBEDDING_SIZE)) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(OpenL3Trunk(size) for size in sizes)
        # No ReLU between the two, as in the baseline.
        self.joint = nn.Sequential(nn.Linear(2 * MIDDLE, MIDDLE), nn.Linear(MIDDLE, n_scenes))

    def middle(self, audio: Tensor, video: Tensor) -> Tensor:
        """Return the concatenated outputs (n, 256) of the trunks."""
        return torch.cat([trunk(values) for trunk, values in zip(self.trunks, (audio, video), strict=True)], dim=1)

    def forward(self, audio: Tensor, video: Tensor) -> Tensor:
        """Return logits (n, n_scenes)."""
        logits: Tensor = self.joint(self.middle(audio, video))
        return logits


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(DROPOUT)


class OpenL3HeadModel:
    """A head with its frozen OpenL3 encoders."""

    def __init__(
        self,
        name: str,
        labels: LabelSet,
        needs: Needs,
        encoders: Sequence[SegmentEncoder],
        network: nn.Module,
        runtime: Runtime,
        familiarity: FamiliarityDetector | None = None,
    ) -> None:
        self.name = name
        self.labels = labels
        self.needs = needs
        self._familiarity = familiarity
        self.encoders = ENCODERS[needs]
        self._loaded = tuple(encoders)
        self._network = network.train(mode=False).to(runtime.device)
        self._runtime = runtime

    @property
    def encoder_keys(self) -> tuple[str, ...]:
        """Keys of the encoders, in their order: weights and preprocessing."""
        return tuple(encoder.key for encoder in self._loaded)

    @property
    def networks(self) -> dict[str, Inference]:
        """Networks of the encoders, by the encoders' names."""
        named = zip(self.encoders, self._loaded, strict=True)
        return {name: network for name, encoder in named for network in encoder.networks.values()}

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz of the waveforms to decode; None without an audio encoder."""
        return next((encoder.sample_rate for encoder in self._loaded if encoder.needs == "audio"), None)

    @property
    def frame_size(self) -> int | None:
        """Shorter side in pixels of the frames to decode; None without a video encoder."""
        return next((encoder.frame_size for encoder in self._loaded if encoder.needs == "video"), None)

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes); NaN rows for segments that lack a needed modality."""
        return self.score_embeddings([encoder.embed(segments) for encoder in self._loaded])

    @torch.inference_mode()
    def score_embeddings(self, arrays: Sequence[FloatArray]) -> SceneProbabilities:
        """Return probabilities (n, n_scenes) of embeddings: an array (n, size) for each of `encoders`, in order."""
        present = ~np.any([np.isnan(array).any(axis=1) for array in arrays], axis=0)
        scores = np.full((len(present), len(self.labels)), np.nan)
        if present.any():
            inputs = [torch.from_numpy(array[present]).float().to(self._runtime.device) for array in arrays]
            logits: Tensor = self._network(*inputs)
            scores[present] = logits.double().softmax(dim=1).cpu().numpy()
        familiarity = None if self._familiarity is None else self._familiarity.score(joined(arrays))
        return SceneProbabilities(self.labels, scores, familiarity)


class OpenL3HeadPart(BaseModel):
    """Configuration of a head in a checkpoint: its modality and the keys of its encoders in training.

    Beside the tensors of the head, there may be those of a familiarity detector on the embeddings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["openl3-head"] = "openl3-head"
    name: str
    modality: Needs
    encoder_keys: tuple[str, ...]

    @model_validator(mode="after")
    def _a_key_for_each_encoder(self) -> Self:
        if len(self.encoder_keys) != len(ENCODERS[self.modality]):
            raise ValueError(f"{len(self.encoder_keys)} encoder keys do not fit modality {self.modality}")
        return self

    def build(self, labels: LabelSet, tensors: Mapping[str, Tensor], runtime: Runtime) -> OpenL3HeadModel:
        """Build the model with its encoders.

        Raises:
            CheckpointError: it was trained on other weights of OpenL3, or its tensors do not fit.
            WeightsError: OpenL3's weights are absent.
        """
        from avscene.models.openl3.encoders import load_openl3_encoder  # imports httpx

        encoders = [load_openl3_encoder(name, runtime) for name in ENCODERS[self.modality]]
        for key, encoder in zip(self.encoder_keys, encoders, strict=True):
            if key != encoder.key:
                raise CheckpointError(
                    f"model {self.name!r} was trained on other weights ({key}) than those here ({encoder.key}); "
                    "train again"
                )
        network = self.network(len(labels))
        own = without_familiarity(tensors)
        if found := faults(network, own):
            raise CheckpointError(f"the head of model {self.name!r} does not fit: {found}")
        fill(network, own)
        detector = familiarity_detector(self.name, tensors, EMBEDDING_SIZE * len(encoders), len(labels))
        return OpenL3HeadModel(self.name, labels, self.modality, encoders, network, runtime, detector)

    def network(self, n_scenes: int) -> nn.Module:
        """Build the untrained head."""
        return OpenL3Fusion(n_scenes) if self.modality == "both" else OpenL3Branch(n_scenes)
