"""Define the prediction of one segment: its scenes with their probabilities, and its verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from avscene.labels import LabelSet
from avscene.records.values import FloatArray
from avscene.verdicts import DECIMALS, Familiarity, Mismatch


def by_scene(labels: LabelSet, probabilities: FloatArray) -> dict[str, float]:
    """Return the probability of each scene, by its name, as it is printed in JSON."""
    return {name: round(value, DECIMALS) for name, value in zip(labels, probabilities.tolist(), strict=True)}


def scene_fields(labels: LabelSet, probabilities: FloatArray, *, accepted: bool) -> dict[str, Any]:
    """Return the fields of JSON that a recording and a segment share: `scene`, `score` and `scores`."""
    top = int(probabilities.argmax())
    return {
        "scene": labels.names[top] if accepted else None,
        "score": round(float(probabilities[top]), DECIMALS),
        "scores": by_scene(labels, probabilities),
    }


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SegmentPrediction:
    """Fused probabilities (n_scenes,) of one segment, and those of each model by its name.

    `mismatch` is None if the system has no detector, or if a modality is missing or the segment is unfamiliar.
    `familiarity` is None if no model measures it. If `accepted` is False, no scene is predicted: its probability is too
    low, or the segment is unfamiliar and a bound of the risk was asked for. `labels` are the scenes; a `Prediction`
    gives its segments its own.
    """

    start: float
    end: float
    probabilities: FloatArray
    by_model: Mapping[str, FloatArray] = field(default_factory=dict)
    mismatch: Mismatch | None = None
    accepted: bool = True
    familiarity: Familiarity | None = None
    labels: LabelSet | None = None

    def __repr__(self) -> str:
        scene = "probability" if self.labels is None else self.scene or "unknown"
        return f"SegmentPrediction({self.start:g} to {self.end:g} s: {scene} {self.score:.0%})"

    @property
    def scene(self) -> str | None:
        """The most probable scene; None if its probability is too low to accept.

        Raises:
            ValueError: the segment has no labels.
        """
        return self._labels.names[int(self.probabilities.argmax())] if self.accepted else None

    @property
    def score(self) -> float:
        """The probability of the most probable scene."""
        return float(self.probabilities.max())

    @property
    def scores(self) -> dict[str, float]:
        """Probability of each scene, by its name.

        Raises:
            ValueError: the segment has no labels.
        """
        return by_scene(self._labels, self.probabilities)

    @property
    def _labels(self) -> LabelSet:
        if self.labels is None:
            raise ValueError("a segment outside a prediction has no labels")
        return self.labels

    def to_dict(self) -> dict[str, Any]:
        """Return the segment as plain values: one of the `segments` of schema `avscene/1`.

        Raises:
            ValueError: the segment has no labels.
        """
        return {
            "start": round(self.start, DECIMALS),
            "end": round(self.end, DECIMALS),
            **scene_fields(self._labels, self.probabilities, accepted=self.accepted),
            "mismatch": self.mismatch and self.mismatch.to_dict(),
            "familiarity": self.familiarity and self.familiarity.to_dict(),
            "by_model": {name: by_scene(self._labels, values) for name, values in self.by_model.items()},
        }
