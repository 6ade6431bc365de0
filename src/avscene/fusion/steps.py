"""Post-processing as values, by the names of scenes: what a configuration keeps of it.

Conventions: `probabilities` (n, n_scenes) in the order of `labels`, NaN rows where nobody scored; `truth` (n,) scene
indices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from avscene.errors import UsageError
from avscene.fusion import postprocess
from avscene.fusion.rules import named, ordered
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray

SMOOTHING = 3.0  # seconds: a row and its neighbours, where rows are a second each


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """Where rows come from: the recording of each, by any name, and its start (n,) in seconds."""

    recordings: Sequence[str]
    starts: FloatArray


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Power(_Step):
    """One exponent for all scenes."""

    kind: Literal["power"] = "power"
    exponent: float = Field(gt=0, allow_inf_nan=False)

    @classmethod
    def fit(cls, probabilities: FloatArray, truth: IntArray, weights: FloatArray | None) -> "Power":
        """The exponent of least log loss on these rows, which count by their `weights` (n,)."""
        return cls(exponent=postprocess.fit_power(probabilities, truth, weights))

    def apply(self, probabilities: FloatArray, labels: LabelSet, times: Times | None) -> FloatArray:  # noqa: ARG002
        """(n, n_scenes)."""
        return postprocess.power(probabilities, self.exponent)


class Vector(_Step):
    """A scale and a bias for each scene."""

    kind: Literal["vector"] = "vector"
    scale: dict[str, FiniteFloat]
    bias: dict[str, FiniteFloat]

    @classmethod
    def fit(cls, probabilities: FloatArray, truth: IntArray, labels: LabelSet, weights: FloatArray | None) -> "Vector":
        """The scales and biases of least log loss on these rows, weighted by `weights` (n,), held near one exponent."""
        scale, bias = postprocess.fit_vector(probabilities, truth, weights)
        return cls(scale=named(labels, scale), bias=named(labels, bias))

    def apply(self, probabilities: FloatArray, labels: LabelSet, times: Times | None) -> FloatArray:  # noqa: ARG002
        """(n, n_scenes)."""
        return postprocess.vector(probabilities, ordered(labels, self.scale), ordered(labels, self.bias))


class Smooth(_Step):
    """The mean over neighbours in time, over a window of `width` seconds; nothing is fitted."""

    kind: Literal["smooth"] = "smooth"
    width: float = Field(default=SMOOTHING, gt=0, allow_inf_nan=False)

    def apply(self, probabilities: FloatArray, labels: LabelSet, times: Times | None) -> FloatArray:  # noqa: ARG002
        """(n, n_scenes).

        Raises:
            UsageError: nothing says when the rows were.
        """
        if times is None:
            raise UsageError("smoothing needs the recording and the start of every row; tables have them as columns")
        return postprocess.smooth(probabilities, times.recordings, times.starts, self.width)


Step = Annotated[Power | Vector | Smooth, Field(discriminator="kind")]
StepKind = Literal["power", "vector", "smooth"]


def fit_step(
    kind: StepKind,
    probabilities: FloatArray,
    truth: IntArray,
    labels: LabelSet,
    weights: FloatArray | None = None,
) -> Step:
    """A step of that kind, fitted on rows that nothing was trained on, which count by their `weights` (n,)."""
    match kind:
        case "power":
            return Power.fit(probabilities, truth, weights)
        case "vector":
            return Vector.fit(probabilities, truth, labels, weights)
        case "smooth":
            return Smooth()
