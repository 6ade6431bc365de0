"""What a system does with the scores of its models, as one value: rules over members, nested, and post-processing.

A `Layout` says what is to be fused and how; fitted on validation rows it becomes a `Fusion`, which has every weight by
the names of member and scene and is kept as JSON.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from avscene.errors import DataError
from avscene.fusion.ensemble import Confidence, group_weights
from avscene.fusion.rules import Classwise, LogPool, Mean, Product, Rule, Samplewise, ScoresByModel
from avscene.fusion.steps import Smooth, Step, StepKind, Times, Vector, fit_step
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray, Needs

FUSED = "fused"  # name of the fused probabilities beside the names of the models
RuleKind = Literal["mean", "product", "samplewise", "classwise", "log-pool"]
# Of models and of systems; directories are called by them.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+_-]*$", max_length=64)]


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Layout(_Node):
    """What is to be fused: `members` are names of models, or layouts of their own.

    `confidence` is what a class-wise rule weighs by; a log-linear pool heeds what members `needs`, by their names (one
    that is not among them: both sound and picture). `postprocess` names steps, each fitted on what the one before it
    gives. Of one member there is nothing to fuse: it needs no rule.
    """

    name: Name
    members: tuple["Name | Layout", ...]
    rule: RuleKind | None = None
    confidence: Confidence = "precision"
    needs: dict[Name, Needs] = {}
    postprocess: tuple[StepKind, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        _check_members(self.name, [_name(member) for member in self.members])
        if len(self.members) > 1 and self.rule is None:
            raise ValueError(f"{self.name}: {len(self.members)} members need a rule")
        return self


class Fusion(_Node):
    """A fitted rule over members, each the name of a model or a fusion of its own, and fitted post-processing."""

    name: Name
    members: tuple["Name | Fusion", ...]
    rule: Rule | None = None
    steps: tuple[Step, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        names = [_name(member) for member in self.members]
        _check_members(self.name, names)
        if (len(names) > 1) == (self.rule is None):
            raise ValueError(f"{self.name}: a rule is for several members, and they need one")
        weighed: Iterable[str] = names
        if isinstance(self.rule, LogPool):
            weighed = self.rule.exponents
        elif isinstance(self.rule, Classwise):
            weighed = self.rule.weights
        if set(weighed) != set(names):
            raise ValueError(f"{self.name}: the weights of its rule are not those of {', '.join(names)}")
        return self

    @classmethod
    def of(cls, model: str) -> "Fusion":
        """A single model, as it is."""
        return cls(name=model, members=(model,))

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models, each once, in order of first appearance."""
        return tuple(dict.fromkeys(self._leaves()))

    def apply(self, scores: ScoresByModel, labels: LabelSet, times: Times | None = None) -> FloatArray:
        """One score (n, n_scenes) from the probabilities (n, n_scenes) of every model, by its name.

        A row of NaN says that a model did not score it; such a model is dropped from the row and the others
        renormalised, at every level. Weights are fitted for company: a member that is alone in a row answers as it is,
        and fitted post-processing is left out in rows that not every model scored. A row that nobody scored stays NaN.

        Raises:
            UsageError: smoothing without `times`.
        """
        pooled = self._pooled(scores, labels, times)
        complete = self.complete(scores)[:, None]
        for step in self.steps:
            done = step.apply(pooled, labels, times)
            pooled = done if isinstance(step, Smooth) else np.where(complete, done, pooled)
        return pooled

    def within(self, members: Mapping[str, "Fusion"]) -> "Fusion":
        """This fusion with those of `members` in the place of their names, which they take on."""
        placed: list[str | Fusion] = []
        for member in self.members:
            if not isinstance(member, str):
                placed.append(member.within(members))
            elif member in members:
                placed.append(members[member].model_copy(update={"name": member}))
            else:
                placed.append(member)
        return self.model_copy(update={"members": tuple(placed)})

    def fits(self, labels: LabelSet) -> bool:
        """Whether every weight by scene is one of exactly these scenes."""
        tables = [table for step in self.steps if isinstance(step, Vector) for table in (step.scale, step.bias)]
        if isinstance(self.rule, Classwise):
            tables += self.rule.weights.values()
        nested = all(member.fits(labels) for member in self.members if isinstance(member, Fusion))
        return nested and all(set(table) == set(labels) for table in tables)

    def _pooled(self, scores: ScoresByModel, labels: LabelSet, times: Times | None) -> FloatArray:
        by_member = _by_member(self.members, scores, labels, times)
        return next(iter(by_member.values())) if self.rule is None else self.rule.pool(by_member, labels)

    def complete(self, scores: ScoresByModel) -> npt.NDArray[np.bool_]:
        """(n,) whether every model scored the row."""
        return np.asarray(~np.isnan([scores[name][:, 0] for name in self.models]).any(axis=0))

    def _leaves(self) -> Iterator[str]:
        for member in self.members:
            yield from (member,) if isinstance(member, str) else member._leaves()


def fit_fusion(
    layout: Layout,
    scores: ScoresByModel,
    truth: IntArray,
    labels: LabelSet,
    times: Times | None = None,
    *,
    groups: Sequence[str] | None = None,
) -> Fusion:
    """Fit a layout from the bottom up on rows that no model was trained on.

    Args:
        layout: what to fuse.
        scores: probabilities (n, n_scenes) of every model by its name; NaN rows where it did not score.
        truth: (n,) scene indices.
        labels: the scenes in the order of the columns.
        times: where the rows come from; only smoothing needs it.
        groups: (n,) the group of each row. Exponents and post-processing are then fitted to groups, not to rows: each
            counts alike, as seconds of one place tell little that the first did not. Without, rows count alike.

    Raises:
        DataError: post-processing is to be fitted and there is no row that every model scored.
        UsageError: smoothing without `times`.
    """
    members = tuple(
        member if isinstance(member, str) else fit_fusion(member, scores, truth, labels, times, groups=groups)
        for member in layout.members
    )
    weights = None if groups is None else group_weights(groups)
    by_member = _by_member(members, scores, labels, times)
    rule = _fit_rule(layout, by_member, truth, labels, weights) if len(members) > 1 else None
    fusion = Fusion(name=layout.name, members=members, rule=rule)
    complete = fusion.complete(scores)
    if layout.postprocess and not complete.any():
        raise DataError(f"{layout.name}: no row has the scores of all of {', '.join(fusion.models)}")
    for kind in layout.postprocess:
        fused = fusion.apply(scores, labels, times)
        known = None if weights is None else weights[complete]
        step = fit_step(kind, fused[complete], truth[complete], labels, known)
        fusion = fusion.model_copy(update={"steps": (*fusion.steps, step)})
    return fusion


def _fit_rule(
    layout: Layout, by_member: ScoresByModel, truth: IntArray, labels: LabelSet, weights: FloatArray | None
) -> Rule:
    match layout.rule:
        case "classwise":
            return Classwise.fit(by_member, truth, labels, layout.confidence)
        case "log-pool":
            return LogPool.fit(by_member, truth, weights, layout.needs)
        case "product":
            return Product()
        case "samplewise":
            return Samplewise()
        case _:
            return Mean()


def _by_member(
    members: tuple[str | Fusion, ...], scores: ScoresByModel, labels: LabelSet, times: Times | None
) -> dict[str, FloatArray]:
    return {
        _name(member): scores[member] if isinstance(member, str) else member.apply(scores, labels, times)
        for member in members
    }


def _name(member: "str | Layout | Fusion") -> str:
    return member if isinstance(member, str) else member.name


def _check_members(owner: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice or not names:
        raise ValueError(f"{owner}: has member {twice[0]} twice" if twice else f"{owner}: has no members")
