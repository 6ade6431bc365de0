"""Tensors to scores: what every model is to the rest of the house."""

from collections.abc import Sequence
from typing import Protocol

from avscene.labels import LabelSet
from avscene.records import Needs, SceneProbabilities, Segment


class SceneModel(Protocol):
    """Segments in, probabilities out.

    `needs` names the modality, or both, without which a segment cannot be scored. `sample_rate` in Hz (None: no sound
    wanted) and `frame_size`, the shorter side in pixels (None: no picture wanted), tell the decoder what to hand over.
    """

    @property
    def name(self) -> str:
        """What the model is called in predictions."""
        ...

    @property
    def labels(self) -> LabelSet:
        """The scenes it answers in."""
        ...

    @property
    def needs(self) -> Needs:
        """The modality it looks at or listens to, or both."""
        ...

    @property
    def sample_rate(self) -> int | None:
        """Hz of the waveforms wanted, if any."""
        ...

    @property
    def frame_size(self) -> int | None:
        """Shorter side of the frames wanted in pixels, if any."""
        ...

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Probabilities (n_segments, n_scenes); a row of NaN where a segment lacks the needed modality."""
        ...
