"""Define the post-processing steps as values that hold their fitted weights by the names of scenes.

Conventions: `probabilities` (n, n_scenes) are in the order of `labels`, with NaN rows if no model scored them; `truth`
is (n,) scene indices.

A new step is a subclass of `BaseStep` and a name in the union `PostprocessingStep`; every list of steps derives from
it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from avscene.errors import UsageError
from avscene.fusion import postprocess
from avscene.fusion.rules import SceneWeights, values_by_scene, values_in_order
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray

SMOOTHING_WIDTH = 3.0  # seconds: with rows of one second, a row and its two neighbours


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """The recording (n,) of each row, by any name, and its start (n,) in seconds."""

    recordings: Sequence[str]
    starts: FloatArray


class BaseStep(BaseModel, ABC):
    """A post-processing step; a subclass has a `kind`, which is its name in files and options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    has_weights: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def fit(cls, probabilities: FloatArray, truth: IntArray, labels: LabelSet, weights: FloatArray | None) -> Self:
        """Return the step fitted on rows that no model was trained on, weighted by `weights` (n,)."""

    @abstractmethod
    def apply(self, probabilities: FloatArray, labels: LabelSet, times: Times | None) -> FloatArray:
        """Return the processed probabilities (n, n_scenes)."""

    def scene_weights(self) -> list[SceneWeights]:
        """Return the tables of weights by scene; empty if the step has none."""
        return []

    @property
    def reach(self) -> float:
        """Seconds up to which the rows before and after one decide on its result."""
        return 0.0


class PowerScaling(BaseStep):
    """One exponent for all scenes, of least log loss with a prior."""

    kind: Literal["power"] = "power"
    exponent: float = Field(gt=0, allow_inf_nan=False)

    @classmethod
    def fit(cls, probabilities: FloatArray, truth: IntArray, labels: LabelSet, weights: FloatArray | None) -> Self:  # noqa: ARG003
        """Return the step fitted on these rows."""
        return cls(exponent=postprocess.fit_power(probabilities, truth, weights))

    def apply(self, probabilities: FloatArray, labels: LabelSet, times: Times | None) -> FloatArray:  # noqa: ARG002
        """Return the processed probabilities (n, n_scenes)."""
        return postprocess.apply_power(probabilities, self.exponent)


class VectorScaling(BaseStep):
    """A scale and a bias for each scene, of least log loss with a prior."""

    kind: Literal["vector"] = "vector"
    scale: dict[str, FiniteFloat]
    bias: dict[str, FiniteFloat]

    @classmethod
    def fit(cls, probabilities: FloatArray, truth: IntArray, labels: LabelSet, weights: FloatArray | None) -> Self:
        """Return the step fitted on these rows."""
        scale, bias = postprocess.fit_vector_scaling(probabilities, truth, weights)
        return cls(scale=values_by_scene(labels, scale), bias=values_by_scene(labels, bias))

    def apply(self, probabilities: FloatArray, labels: LabelSet, times: Times | None) -> FloatArray:  # noqa: ARG002
        """Return the processed probabilities (n, n_scenes)."""
        scale, bias = values_in_order(labels, self.scale), values_in_order(labels, self.bias)
        return postprocess.apply_vector_scaling(probabilities, scale, bias)

    def scene_weights(self) -> list[SceneWeights]:
        """Return the tables of weights by scene."""
        return [self.scale, self.bias]


class Smoothing(BaseStep):
    """The mean over neighbours in time, over a window of `width` seconds; nothing is fitted."""

    kind: Literal["smooth"] = "smooth"
    width: float = Field(default=SMOOTHING_WIDTH, gt=0, allow_inf_nan=False)

    has_weights: ClassVar[bool] = False

    @classmethod
    def fit(cls, probabilities: FloatArray, truth: IntArray, labels: LabelSet, weights: FloatArray | None) -> Self:  # noqa: ARG003
        """Return the step fitted on these rows."""
        return cls()

    def apply(self, probabilities: FloatArray, labels: LabelSet, times: Times | None) -> FloatArray:  # noqa: ARG002
        """Return the smoothed probabilities (n, n_scenes).

        Raises:
            UsageError: `times` is None.
        """
        if times is None:
            raise UsageError("smoothing needs the recording and the start of every row: add a column 'start'")
        return postprocess.smooth(probabilities, times.recordings, times.starts, self.width)

    @property
    def reach(self) -> float:
        """Seconds up to which the rows before and after one decide on its result."""
        return self.width / 2


PostprocessingStep = Annotated[PowerScaling | VectorScaling | Smoothing, Field(discriminator="kind")]
STEPS: dict[str, type[BaseStep]] = {
    step.model_fields["kind"].default: step for step in get_args(get_args(PostprocessingStep)[0])
}


def _check_step_name(name: str) -> str:
    if name not in STEPS:
        raise ValueError(f"{name!r} is not one of {', '.join(STEPS)}")
    return name


StepName = Annotated[str, AfterValidator(_check_step_name)]  # a `kind` of the union `PostprocessingStep`
