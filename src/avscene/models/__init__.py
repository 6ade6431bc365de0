"""Turn segments into embeddings (encoders) or scene probabilities (models)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from avscene.labels import LabelSet
from avscene.records import FloatArray, Modality, Needs, SceneProbabilities, Segment

if TYPE_CHECKING:
    from avscene.models.inference import Inference


class SceneModel(Protocol):
    """A classifier that maps segments to scene probabilities."""

    @property
    def name(self) -> str:
        """Name of the model in predictions."""
        ...

    @property
    def labels(self) -> LabelSet:
        """Scenes, in the order of the probabilities."""
        ...

    @property
    def needs(self) -> Needs:
        """Modality that a segment must have to be scored, or both."""
        ...

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz of the waveforms to decode; None if the model uses no audio."""
        ...

    @property
    def frame_size(self) -> int | None:
        """Shorter side in pixels of the frames to decode; None if the model uses no video."""
        ...

    @property
    def networks(self) -> Mapping[str, "Inference"]:
        """Networks that take most of the time, whose precision can be chosen, by name."""
        ...

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes); a row is NaN if the segment lacks the needed modality."""
        ...


class SegmentEncoder(Protocol):
    """A frozen network that maps segments to embeddings."""

    needs: Modality

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz of the waveforms to decode; None if the encoder uses no audio."""
        ...

    @property
    def frame_size(self) -> int | None:
        """Shorter side in pixels of the frames to decode; None if the encoder uses no video."""
        ...

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        ...

    @property
    def key(self) -> str:
        """Weights and preprocessing in one line; encoders with different keys give different embeddings."""
        ...

    @property
    def networks(self) -> Mapping[str, "Inference"]:
        """The network, by a name."""
        ...

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return embeddings (n_segments, embedding_size); a row is NaN if the segment lacks the modality."""
        ...
