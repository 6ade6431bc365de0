"""Classify frames with a fine-tuned convolutional network."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from avscene.errors import CheckpointError
from avscene.familiarity.detector import FamiliarityDetector
from avscene.features.batch import SegmentBatch
from avscene.features.frames import FrameSpec
from avscene.labels import LabelSet
from avscene.models.cnn.backbones import blank_backbone
from avscene.models.cnn.block_network import blank_block_network
from avscene.models.cnn.classifying import ClassifyingNetwork, feature_size
from avscene.models.device import Runtime
from avscene.models.familiarity_tensors import familiarity_detector, without_familiarity
from avscene.models.weights.strict import faults, fill
from avscene.records import FloatArray, Modality, SceneProbabilities, Segment


class FrameCnn:
    """A fine-tuned network on frames, and a measure of how familiar its features are."""

    needs: Modality = "video"
    sample_rate = None

    def __init__(
        self,
        name: str,
        labels: LabelSet,
        network: nn.Module,
        spec: FrameSpec,
        runtime: Runtime,
        familiarity: FamiliarityDetector | None = None,
    ) -> None:
        self.name = name
        self.labels = labels
        self.spec = spec
        self._familiarity = familiarity
        self._network = ClassifyingNetwork(network, [spec.blank], runtime)
        self.networks = {name: self._network.inference}

    @property
    def frame_size(self) -> int:
        """Shorter side in pixels of the frames to decode."""
        return self.spec.resize

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes), averaged over frames; NaN rows for segments without frames."""
        batch = SegmentBatch.of(segments)
        probabilities, features = map(batch.average_over_frames, self._network(batch.frames(self.spec)))
        familiarity = None if self._familiarity is None else self._familiarity.score(features)
        return SceneProbabilities(self.labels, probabilities, familiarity)

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return the features (n_segments, n_features) of `ClassifyingNetwork`; NaN rows without frames."""
        batch = SegmentBatch.of(segments)
        return batch.average_over_frames(self._network(batch.frames(self.spec))[1])


class FrameCnnPart(BaseModel):
    """Configuration of a FrameCnn in a checkpoint; with `blocks` the network is a BlockNetwork.

    Beside the tensors of the network, there may be those of a familiarity detector on its features.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["frame-cnn"] = "frame-cnn"
    name: str
    backbone: str
    frames: FrameSpec
    blocks: bool = False

    def build(self, labels: LabelSet, tensors: Mapping[str, Tensor], runtime: Runtime) -> FrameCnn:
        """Build the model with its weights.

        Raises:
            CheckpointError: the tensors are not exactly those of the network.
            UsageError: there is no such network.
        """
        blank = blank_block_network if self.blocks else blank_backbone
        network = blank(self.backbone, len(labels))
        own = without_familiarity(tensors)
        if wrong := faults(network, own):
            raise CheckpointError(f"model {self.name!r}: its tensors are not those of {self.backbone}: {wrong}")
        fill(network, own)
        detector = familiarity_detector(self.name, tensors, feature_size(network), len(labels))
        return FrameCnn(self.name, labels, network, self.frames, runtime, detector)
