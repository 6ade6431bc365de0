"""Classify embeddings of several frozen encoders with the paper's late fusion network (C04).

Okazaki, Kong, Yoshinaga: "A Multi-Modal Fusion Approach for Audio-Visual Scene Classification Enhanced by CLIP
Variants", DCASE 2021 Workshop, table 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from avscene.errors import CheckpointError
from avscene.familiarity.detector import FamiliarityDetector
from avscene.labels import LabelSet
from avscene.models import SegmentEncoder
from avscene.models.device import Runtime
from avscene.models.dropout import FastDropout
from avscene.models.familiarity_tensors import familiarity_detector, joined, without_familiarity
from avscene.models.inference import Inference
from avscene.models.weights.strict import faults, fill
from avscene.records import FloatArray, Needs, SceneProbabilities, Segment

# Table 1: widths of a branch's two layers and of the layer that fuses the branches.
HIDDEN, BRANCH, JOINT = 512, 256, 128
DROPOUT = 0.2
MAX_ROWS = 4096  # rows at a time; bounds the memory of activations


class FusionNetwork(nn.Module):
    """A branch for each encoder, concatenated, and two layers, as in table 1, for any number and `sizes` of inputs."""

    def __init__(self, sizes: Sequence[int], n_scenes: int) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Linear(size, HIDDEN),
                nn.BatchNorm1d(HIDDEN),
                nn.ReLU(inplace=True),
                FastDropout(DROPOUT),
                nn.Linear(HIDDEN, BRANCH),
            )
            for size in sizes
        )
        self.fusion = nn.Linear(BRANCH * len(sizes), JOINT)
        self.classifier = nn.Linear(JOINT, n_scenes)

    def forward(self, *embeddings: Tensor) -> Tensor:
        """Return logits (n, n_scenes) of one tensor (n, size) for each encoder.

        The three linear layers after each dropout have only a concatenation between them. Their matrices are multiplied
        first: the same function and the same gradients with little more than half of the operations.
        """
        branches: Any = self.branches  # the items of a ModuleList have no static type
        weight = self.classifier.weight @ self.fusion.weight
        logits = self.classifier.bias + self.classifier.weight @ self.fusion.bias
        for branch, values, part in zip(branches, embeddings, weight.tensor_split(len(branches), dim=1), strict=True):
            hidden, last = branch[:-1](values), branch[-1]
            logits = logits + hidden @ (part @ last.weight).T + part @ last.bias
        return logits


class FusionNetworkModel:
    """A late fusion network with its frozen encoders; a segment is scored if all encoders can embed it."""

    def __init__(
        self,
        name: str,
        labels: LabelSet,
        encoders: Mapping[str, SegmentEncoder],
        network: FusionNetwork,
        runtime: Runtime,
        familiarity: FamiliarityDetector | None = None,
    ) -> None:
        self.name = name
        self.labels = labels
        self.encoders = tuple(encoders)
        self._encoders = tuple(encoders.values())
        self._network = network.eval().requires_grad_(requires_grad=False).to(runtime.device)
        self._runtime = runtime
        self._familiarity = familiarity

    @property
    def encoder_keys(self) -> tuple[str, ...]:
        """Keys of the encoders, in their order: weights and preprocessing."""
        return tuple(encoder.key for encoder in self._encoders)

    @property
    def networks(self) -> dict[str, Inference]:
        """Networks of the encoders, by the encoders' names."""
        named = zip(self.encoders, self._encoders, strict=True)
        return {name: network for name, encoder in named for network in encoder.networks.values()}

    @property
    def needs(self) -> Needs:
        """Modality of the encoders, or both."""
        wanted = {encoder.needs for encoder in self._encoders}
        return "both" if len(wanted) == 2 else wanted.pop()

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz of the waveforms to decode; None without audio encoders."""
        return max((encoder.sample_rate for encoder in self._encoders if encoder.sample_rate is not None), default=None)

    @property
    def frame_size(self) -> int | None:
        """Shorter side in pixels of the frames to decode, the largest of the encoders; None without video encoders."""
        return max((encoder.frame_size for encoder in self._encoders if encoder.frame_size is not None), default=None)

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes); NaN rows for segments that an encoder cannot embed."""
        return self.score_embeddings([encoder.embed(segments) for encoder in self._encoders])

    @torch.inference_mode()
    def score_embeddings(self, arrays: Sequence[FloatArray]) -> SceneProbabilities:
        """Return probabilities (n, n_scenes) of embeddings: an array (n, size) for each of `encoders`, in order.

        Rows that are NaN in any array are NaN.

        Raises:
            CheckpointError: an array is missing, or its size differs from that in training.
        """
        sizes = self._network.sizes
        if tuple(array.shape[1] for array in arrays) != sizes:
            wanted = ", ".join(f"{name} ({size})" for name, size in zip(self.encoders, sizes, strict=True))
            found = ", ".join(str(array.shape[1]) for array in arrays)
            raise CheckpointError(f"model {self.name!r} takes embeddings of {wanted}; got sizes {found}")
        probabilities = _probabilities(self._network, arrays, self._runtime)
        familiarity = None if self._familiarity is None else self._familiarity.score(joined(arrays))
        return SceneProbabilities(self.labels, probabilities, familiarity)


@torch.inference_mode()
def _probabilities(network: FusionNetwork, arrays: Sequence[FloatArray], runtime: Runtime) -> FloatArray:
    present = np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in arrays])
    scores = np.full((len(present), network.classifier.out_features), np.nan)
    rows = np.flatnonzero(present)
    for first in range(0, len(rows), MAX_ROWS):
        part = rows[first : first + MAX_ROWS]
        inputs = [torch.from_numpy(array[part]).float().to(runtime.device) for array in arrays]
        scores[part] = network(*inputs).double().softmax(dim=1).cpu().numpy()
    return scores


class FusionNetworkPart(BaseModel):
    """Configuration of a late fusion network in a checkpoint.

    `encoders`, `sizes` and `encoder_keys` are the names of the encoders, the lengths of their embeddings and their keys
    in training. Beside the tensors of the network, there may be those of a familiarity detector on all embeddings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["fusion-network"] = "fusion-network"
    name: str
    encoders: tuple[str, ...]
    sizes: tuple[int, ...]
    encoder_keys: tuple[str, ...]

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if not self.encoders or not len(self.encoders) == len(self.sizes) == len(self.encoder_keys):
            raise ValueError(f"{self.name}: needs at least one encoder, and one size and one key for each encoder")
        return self

    def network(self, labels: LabelSet, tensors: Mapping[str, Tensor]) -> FusionNetwork:
        """Build the network without its encoders, to classify stored embeddings.

        Raises:
            CheckpointError: the tensors are not exactly those of the network.
        """
        with torch.device("meta"):  # without memory; the tensors are filled in below
            network = FusionNetwork(self.sizes, len(labels))
        own = without_familiarity(tensors)
        if wrong := faults(network, own):
            inputs = ", ".join(f"{name} ({size})" for name, size in zip(self.encoders, self.sizes, strict=True))
            raise CheckpointError(f"model {self.name!r}: its tensors are not those of a network on {inputs}: {wrong}")
        fill(network, own)
        return network.eval()

    def build(self, labels: LabelSet, tensors: Mapping[str, Tensor], runtime: Runtime) -> FusionNetworkModel:
        """Build the model with its encoders.

        Raises:
            CheckpointError: the tensors are not exactly those of the network, or an encoder is not that of training.
            WeightsError: the weights of an encoder are absent.
        """
        from avscene.models.encoders import build_encoder

        network = self.network(labels, tensors)
        encoders = {}
        for name, size, key in zip(self.encoders, self.sizes, self.encoder_keys, strict=True):
            encoders[name] = encoder = build_encoder(name, runtime)
            if (encoder.embedding_size, encoder.key) != (size, key):
                raise CheckpointError(
                    f"model {self.name!r} was trained on another {name} "
                    f"({size} values of {key!r}, not {encoder.embedding_size} of {encoder.key!r}); train again"
                )
        detector = familiarity_detector(self.name, tensors, sum(self.sizes), len(labels))
        return FusionNetworkModel(self.name, labels, encoders, network, runtime, detector)
