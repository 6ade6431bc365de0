"""Define nested fusions of models, fit them on validation rows, and apply them to probabilities.

A `Layout` says which members to fuse and by which rule. Fitted, it becomes a `Fusion`, which holds every weight by the
names of members and scenes and is stored as JSON.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from avscene.errors import DataError
from avscene.fusion.pooling import Confidence, group_weights
from avscene.fusion.rules import RULES, BaseRule, Rule, RuleName, RuleOptions, ScoresByModel
from avscene.fusion.steps import STEPS, PostprocessingStep, StepName, Times
from avscene.labels import LabelSet
from avscene.records import BoolArray, FloatArray, IntArray, Needs

FUSED = "fused"  # name of the fused probabilities beside the names of the models
# Of models and of systems; also the names of directories.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+_-]*$", max_length=64)]


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Layout(_Node):
    """An unfitted fusion: `members` are names of models or nested layouts, `rule` fuses them.

    `confidence` is the weight of a class-wise rule. `needs` are the inputs of members by name, which the prior of a
    log-linear pool uses; a member that is not among them needs both. `postprocess` names steps, each fitted on the
    output of the one before it. A single member needs no rule.
    """

    name: Name
    members: tuple["Name | Layout", ...]
    rule: RuleName | None = None
    confidence: Confidence = "precision"
    needs: dict[Name, Needs] = {}
    postprocess: tuple[StepName, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        _check_members(self.name, [_name(member) for member in self.members])
        if len(self.members) > 1 and self.rule is None:
            raise ValueError(f"{self.name}: {len(self.members)} members need a rule")
        return self


class Fusion(_Node):
    """A fitted rule over `members`, names of models or nested fusions, and fitted post-processing."""

    name: Name
    members: tuple["Name | Fusion", ...]
    rule: Rule | None = None
    steps: tuple[PostprocessingStep, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        names = [_name(member) for member in self.members]
        _check_members(self.name, names)
        if (len(names) > 1) == (self.rule is None):
            raise ValueError(f"{self.name}: several members need a rule, and a single one must not have one")
        weighted = None if self.rule is None else self.rule.weighted_members()
        if weighted is not None and set(weighted) != set(names):
            raise ValueError(f"{self.name}: the weights of its rule are not those of {', '.join(names)}")
        return self

    @classmethod
    def of(cls, model: str) -> "Fusion":
        """Return the fusion of a single model, which leaves its probabilities unchanged."""
        return cls(name=model, members=(model,))

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models, each once, in order of first appearance."""
        return tuple(dict.fromkeys(self._leaves()))

    @property
    def reach(self) -> float:
        """Seconds up to which the rows before and after one decide on its result; 0 without smoothing."""
        members = [member.reach for member in self.members if isinstance(member, Fusion)]
        return max(members, default=0.0) + sum(step.reach for step in self.steps)

    def apply(self, scores: ScoresByModel, labels: LabelSet, times: Times | None = None) -> FloatArray:
        """Fuse the probabilities (n, n_scenes) of every model, by its name, into one array (n, n_scenes).

        A model with a NaN row did not score it; it is dropped from that row and the others normalised, at every level.
        Weights are fitted for all members together: if only one member scored a row, its probabilities are returned
        unchanged, and fitted post-processing skips rows that not every model scored. A row that no model scored stays
        NaN.

        Raises:
            UsageError: smoothing without `times`.
        """
        fused = self._pool(scores, labels, times)
        complete = self.complete_rows(scores)[:, None]
        for step in self.steps:
            processed = step.apply(fused, labels, times)
            fused = np.where(complete, processed, fused) if step.has_weights else processed
        return fused

    def within(self, members: Mapping[str, "Fusion"]) -> "Fusion":
        """Return this fusion with the names of `members` replaced by those fusions, renamed to them."""
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
        """Whether all weights by scene, nested ones included, are for exactly these scenes."""
        parts = [*([] if self.rule is None else [self.rule]), *self.steps]
        own = all(set(table) == set(labels) for part in parts for table in part.scene_weights())
        return own and all(member.fits(labels) for member in self.members if isinstance(member, Fusion))

    def _pool(self, scores: ScoresByModel, labels: LabelSet, times: Times | None) -> FloatArray:
        by_member = _by_member(self.members, scores, labels, times)
        return next(iter(by_member.values())) if self.rule is None else self.rule.pool(by_member, labels)

    def complete_rows(self, scores: ScoresByModel) -> BoolArray:
        """Return whether every model scored each row (n,)."""
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
    """Fit a layout, innermost members first, on rows that no model was trained on.

    Args:
        layout: what to fuse.
        scores: probabilities (n, n_scenes) of every model by its name; NaN rows that it did not score.
        truth: (n,) scene indices.
        labels: the scenes in the order of the columns.
        times: recordings and starts of the rows; only smoothing needs them.
        groups: (n,) the group of each row. Exponents and post-processing then give every group equal weight, because
            rows of one group resemble each other. Without groups, all rows have equal weight.

    Raises:
        DataError: there is no row that every model scored to fit the post-processing on.
        UsageError: smoothing without `times`.
    """
    members = tuple(
        member if isinstance(member, str) else fit_fusion(member, scores, truth, labels, times, groups=groups)
        for member in layout.members
    )
    weights = None if groups is None else group_weights(groups)
    by_member = _by_member(members, scores, labels, times)
    rule: BaseRule | None = None
    if layout.rule is not None and len(members) > 1:
        options = RuleOptions(weights, layout.confidence, layout.needs)
        rule = RULES[layout.rule].fit(by_member, truth, labels, options)
    fusion = Fusion(name=layout.name, members=members, rule=rule)  # type: ignore[arg-type]  # of the union `Rule`
    complete = fusion.complete_rows(scores)
    if layout.postprocess and not complete.any():
        raise DataError(f"{layout.name}: no row was scored by all of {', '.join(fusion.models)}")
    for name in layout.postprocess:
        fused = fusion.apply(scores, labels, times)
        complete_weights = None if weights is None else weights[complete]
        step = STEPS[name].fit(fused[complete], truth[complete], labels, complete_weights)
        fusion = fusion.model_copy(update={"steps": (*fusion.steps, step)})
    return fusion


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
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated or not names:
        raise ValueError(f"{owner}: has member {repeated[0]} twice" if repeated else f"{owner}: has no members")
