"""Classify frames with a fine-tuned convolutional network."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from avscene.errors import CheckpointError
from avscene.features.batch import SegmentBatch
from avscene.features.frames import FrameSpec
from avscene.labels import LabelSet
from avscene.models.cnn.backbones import blank_backbone
from avscene.models.cnn.block_network import blank_block_network
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.models.weights.strict import faults, fill
from avscene.records import Modality, SceneProbabilities, Segment


class FrameCnn:
    """A fine-tuned network on frames."""

    needs: Modality = "video"
    sample_rate = None

    def __init__(self, name: str, labels: LabelSet, network: nn.Module, spec: FrameSpec, runtime: Runtime) -> None:
        self.name = name
        self.labels = labels
        self.spec = spec
        self._network = Inference(network, [spec.blank], runtime)
        self.networks = {name: self._network}

    @property
    def frame_size(self) -> int:
        """Shorter side in pixels of the frames to decode."""
        return self.spec.resize

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes), averaged over frames; NaN rows for segments without frames."""
        batch = SegmentBatch.of(segments)
        by_frame = self._network(batch.frames(self.spec)).double().softmax(dim=1)
        return SceneProbabilities(self.labels, batch.average_over_frames(by_frame))


class FrameCnnPart(BaseModel):
    """Configuration of a FrameCnn in a checkpoint; with `blocks` the network is a BlockNetwork."""

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
        if wrong := faults(network, tensors):
            raise CheckpointError(f"model {self.name!r}: its tensors are not those of {self.backbone}: {wrong}")
        fill(network, tensors)
        return FrameCnn(self.name, labels, network, self.frames, runtime)
