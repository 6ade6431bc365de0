"""Rules with their weights as values, by the names of members and scenes: what a configuration keeps of them.

Conventions: `scores` maps each member's name to its probabilities (n, n_scenes) in the order of `labels`, a row of NaN
where it did not score; `truth` is (n,) scene indices. Weights are fitted on rows that no member was trained on.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from avscene.fusion import ensemble
from avscene.fusion.ensemble import Confidence
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray, Needs

ScoresByModel = Mapping[str, FloatArray]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Mean(_Rule):
    """Every member counts the same."""

    kind: Literal["mean"] = "mean"

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """(n, n_scenes)."""
        return ensemble.mean(_stacked(scores))


class Product(_Rule):
    """Every member's evidence counts in full."""

    kind: Literal["product"] = "product"

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """(n, n_scenes)."""
        return ensemble.product(_stacked(scores))


class Samplewise(_Rule):
    """Every member counts by how sure it is of the row at hand."""

    kind: Literal["samplewise"] = "samplewise"

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """(n, n_scenes)."""
        return ensemble.samplewise(_stacked(scores))


class Classwise(_Rule):
    """Every member counts by how far it can be trusted with each scene: `weights` by member and scene."""

    kind: Literal["classwise"] = "classwise"
    confidence: Confidence = "precision"
    weights: dict[str, dict[str, Weight]]

    @classmethod
    def fit(cls, scores: ScoresByModel, truth: IntArray, labels: LabelSet, confidence: Confidence) -> "Classwise":
        """The confidences of the members on these rows."""
        fitted = ensemble.fit_classwise(_stacked(scores), truth, confidence)
        weights = {name: named(labels, row) for name, row in zip(scores, fitted, strict=True)}
        return cls(confidence=confidence, weights=weights)

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:
        """(n, n_scenes)."""
        weights = np.array([ordered(labels, self.weights[name]) for name in scores])
        return ensemble.classwise(_stacked(scores), weights)


class LogPool(_Rule):
    """The log-linear pool: one exponent for each member."""

    kind: Literal["log-pool"] = "log-pool"
    exponents: dict[str, Weight]

    @classmethod
    def fit(
        cls, scores: ScoresByModel, truth: IntArray, weights: FloatArray | None, needs: Mapping[str, Needs]
    ) -> "LogPool":
        """The exponents that fit these rows, which count by their `weights` (n,), and what each member `needs`."""
        looks_at = [needs.get(name, "both") for name in scores]
        fitted = ensemble.fit_log_pool(_stacked(scores), truth, weights, looks_at)
        return cls(exponents=dict(zip(scores, map(float, fitted), strict=True)))

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """(n, n_scenes)."""
        return ensemble.log_pool(_stacked(scores), np.array([self.exponents[name] for name in scores]))


Rule = Annotated[Mean | Product | Samplewise | Classwise | LogPool, Field(discriminator="kind")]


def named(labels: LabelSet, values: FloatArray) -> dict[str, float]:
    """One value (n_scenes,) for each scene, by its name."""
    return dict(zip(labels, map(float, values), strict=True))


def ordered(labels: LabelSet, values: Mapping[str, float]) -> FloatArray:
    """(n_scenes,) the values of scenes in the order of `labels`."""
    return np.array([values[scene] for scene in labels])


def _stacked(scores: ScoresByModel) -> FloatArray:
    return np.stack(list(scores.values()))
