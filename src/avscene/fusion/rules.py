"""Define the fusion rules as values that hold their fitted weights by the names of members and scenes.

Conventions: `scores` maps each member's name to its probabilities (n, n_scenes) in the order of `labels`, a row of NaN
if it did not score the row; `truth` is (n,) scene indices. Weights are fitted on rows that no member was trained on.

A new rule is a subclass of `BaseRule` and a name in the union `Rule`; every list of rules derives from that union.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Self, get_args

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from avscene.fusion import pooling
from avscene.fusion.pooling import Confidence
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray, Needs

ScoresByModel = Mapping[str, FloatArray]
SceneWeights = Mapping[str, float]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """Options of fitting: `weights` (n,) of rows; `confidence` for class-wise weights, members' `needs` for exponents.

    A member that is not among `needs` needs both modalities.
    """

    weights: FloatArray | None = None
    confidence: Confidence = "precision"
    needs: Mapping[str, Needs] = field(default_factory=dict)


class BaseRule(BaseModel, ABC):
    """A fusion rule; a subclass has a `kind`, which is its name in files and options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    has_weights: ClassVar[bool] = False

    @classmethod
    def fit(cls, scores: ScoresByModel, truth: IntArray, labels: LabelSet, options: RuleOptions) -> Self:  # noqa: ARG003
        """Return the rule with weights fitted on these rows; a rule without weights ignores them."""
        return cls()

    @abstractmethod
    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:
        """Return the fused probabilities (n, n_scenes)."""

    def weighted_members(self) -> Iterable[str] | None:
        """Return the members that have a weight; None if the rule has no weights."""
        return None

    def scene_weights(self) -> list[SceneWeights]:
        """Return the tables of weights by scene; empty if the rule has none."""
        return []


class Mean(BaseRule):
    """The mean of the members' probabilities."""

    kind: Literal["mean"] = "mean"

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """Return the fused probabilities (n, n_scenes)."""
        return pooling.mean(_stack(scores))


class Product(BaseRule):
    """The normalised product of the members' probabilities."""

    kind: Literal["product"] = "product"

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """Return the fused probabilities (n, n_scenes)."""
        return pooling.product(_stack(scores))


class Samplewise(BaseRule):
    """The mean weighted by each member's confidence in the row."""

    kind: Literal["samplewise"] = "samplewise"

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """Return the fused probabilities (n, n_scenes)."""
        return pooling.samplewise(_stack(scores))


class Classwise(BaseRule):
    """The mean weighted by the confidence in each member for each scene: `weights` by member and scene."""

    kind: Literal["classwise"] = "classwise"
    confidence: Confidence = "precision"
    weights: dict[str, dict[str, NonNegative]]

    has_weights: ClassVar[bool] = True

    @classmethod
    def fit(cls, scores: ScoresByModel, truth: IntArray, labels: LabelSet, options: RuleOptions) -> Self:
        """Return the rule with the confidences of the members on these rows."""
        fitted = pooling.fit_classwise(_stack(scores), truth, options.confidence, options.weights)
        weights = {name: values_by_scene(labels, row) for name, row in zip(scores, fitted, strict=True)}
        return cls(confidence=options.confidence, weights=weights)

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:
        """Return the fused probabilities (n, n_scenes)."""
        weights = np.array([values_in_order(labels, self.weights[name]) for name in scores])
        return pooling.classwise(_stack(scores), weights)

    def weighted_members(self) -> Iterable[str]:
        """Return the members that have a weight."""
        return self.weights

    def scene_weights(self) -> list[SceneWeights]:
        """Return the tables of weights by scene."""
        return list(self.weights.values())


class LogPool(BaseRule):
    """The log-linear pool, with one exponent for each member."""

    kind: Literal["log-pool"] = "log-pool"
    exponents: dict[str, NonNegative]

    has_weights: ClassVar[bool] = True

    @classmethod
    def fit(cls, scores: ScoresByModel, truth: IntArray, labels: LabelSet, options: RuleOptions) -> Self:  # noqa: ARG003
        """Return the rule with exponents fitted on these rows."""
        needs = [options.needs.get(name, "both") for name in scores]
        fitted = pooling.fit_log_pool(_stack(scores), truth, options.weights, needs)
        return cls(exponents=dict(zip(scores, map(float, fitted), strict=True)))

    def pool(self, scores: ScoresByModel, labels: LabelSet) -> FloatArray:  # noqa: ARG002  # as every rule
        """Return the fused probabilities (n, n_scenes)."""
        return pooling.log_pool(_stack(scores), np.array([self.exponents[name] for name in scores]))

    def weighted_members(self) -> Iterable[str]:
        """Return the members that have a weight."""
        return self.exponents


Rule = Annotated[Mean | Product | Samplewise | Classwise | LogPool, Field(discriminator="kind")]
RULES: dict[str, type[BaseRule]] = {rule.model_fields["kind"].default: rule for rule in get_args(get_args(Rule)[0])}


def _check_rule_name(name: str) -> str:
    if name not in RULES:
        raise ValueError(f"{name!r} is not one of {', '.join(RULES)}")
    return name


RuleName = Annotated[str, AfterValidator(_check_rule_name)]  # a `kind` of the union `Rule`


def values_by_scene(labels: LabelSet, values: FloatArray) -> dict[str, float]:
    """Return the values (n_scenes,) by the names of their scenes."""
    return dict(zip(labels, map(float, values), strict=True))


def values_in_order(labels: LabelSet, values: SceneWeights) -> FloatArray:
    """Return the values (n_scenes,) in the order of `labels`."""
    return np.array([values[scene] for scene in labels])


def _stack(scores: ScoresByModel) -> FloatArray:
    return np.stack(list(scores.values()))
