"""Prediction tables of several systems to fused tables, no row of which had a part in the weights that fused it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from avscene.errors import DataError, UsageError, first_validation_error
from avscene.fusion.cross_fit import apply_stages, cross_fit, fit_on
from avscene.fusion.rules import Mean, Product, Samplewise
from avscene.fusion.steps import Smooth, Times
from avscene.fusion.tree import Fusion, Layout
from avscene.groups import Side, check_apart
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray
from avscene.tables.alignment import Aligned
from avscene.tables.score_table import ScoreTable

UNFITTED_RULES = {"mean": Mean, "product": Product, "samplewise": Samplewise}
UNFITTED_STEPS = ("smooth",)


class SavedFusion(BaseModel):
    """What is kept of a fusion: its weights, and the groups of the rows that they were fitted on."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # the file also holds figures

    format: Literal["avscene-fusion/1"] = "avscene-fusion/1"
    labels: tuple[str, ...]
    fusion: Fusion
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """The fused table after the rule and after each step, the weights, and in words what they were fitted on."""

    stages: dict[str, ScoreTable]
    saved: SavedFusion
    fitted_on: str

    @property
    def table(self) -> ScoreTable:
        """The table after the last step."""
        return list(self.stages.values())[-1]


def fuse_plain(aligned: Aligned, layout: Layout) -> Fused:
    """Fuse by a rule that has no weights.

    Raises:
        UsageError: the rule or a step has weights to fit.
    """
    if fitted := needs_fitting(layout):
        raise UsageError(
            f"{' and '.join(fitted)} must be fitted on other rows than those that are fused: give --fit with tables of "
            "the same systems, or --cross-fit 5"
        )
    rows = _Rows.of(aligned)
    fusion = _bare(layout)
    stages = apply_stages(fusion, rows.scores, rows.labels, rows.times)
    return Fused(rows.tables(stages), _saved(rows, fusion, ()), "nothing")


def fuse_cross_fitted(aligned: Aligned, layout: Layout, n_folds: int) -> Fused:
    """Fuse each row by weights fitted on other groups; the weights that are kept are fitted on all rows.

    Raises:
        DataError: the tables have no truth, too few groups, or rows of one scene.
    """
    rows = _Rows.of(aligned)
    truth, groups = rows.truth, rows.groups
    stages = cross_fit(layout, rows.scores, truth, groups, rows.labels, n_folds, rows.times)
    fusion = fit_on(layout, rows.scores, truth, groups, rows.labels, rows.times, rows.all)
    told = f"the other {n_folds - 1} of {n_folds} folds of {len(set(groups))} groups, anew for each"
    return Fused(rows.tables(stages), _saved(rows, fusion, groups), told)


def fuse_fitted(aligned: Aligned, fitting: Aligned, layout: Layout) -> Fused:
    """Fuse by weights fitted on the rows of `fitting`, which has tables of the same names.

    Raises:
        DataError: a group or a file is on both sides; `fitting` has no truth, other scenes, or rows of one scene.
    """
    rows, learnt = _Rows.of(aligned), _Rows.of(fitting)
    _check_scenes(learnt, rows.labels, rows.source)
    _check_apart(rows, learnt)
    fusion = fit_on(layout, learnt.scores, learnt.truth, learnt.groups, learnt.labels, learnt.times, learnt.all)
    stages = apply_stages(fusion, rows.scores, rows.labels, rows.times)
    told = f"{len(learnt.all)} rows of {len(set(learnt.groups))} groups in {learnt.source}"
    return Fused(rows.tables(stages), _saved(rows, fusion, learnt.groups), told)


def fuse_saved(aligned: Aligned, saved: SavedFusion) -> Fused:
    """Fuse by weights that were kept.

    Raises:
        DataError: they are of other scenes or other systems, or were fitted on a group that is to be fused.
    """
    rows = _Rows.of(aligned)
    _check_scenes(rows, saved.labels, "the weights")
    if set(saved.fusion.models) != set(rows.scores):
        raise DataError(
            f"the weights are of {', '.join(saved.fusion.models)}; the tables are of {', '.join(rows.scores)}: "
            "tables are called by their file names"
        )
    check_apart(
        Side("what the weights were fitted on", saved.groups),
        Side(rows.source, rows.groups, rows.first.filenames),
        "leave it out, or fit with --cross-fit",
    )
    stages = apply_stages(saved.fusion, rows.scores, rows.labels, rows.times)
    return Fused(rows.tables(stages), saved, f"{len(saved.groups)} groups, before")


def needs_fitting(layout: Layout) -> tuple[str, ...]:
    """What in a layout has weights."""
    rule = [layout.rule] if layout.rule is not None and layout.rule not in UNFITTED_RULES else []
    nested = [part for member in layout.members if isinstance(member, Layout) for part in needs_fitting(member)]
    return tuple(dict.fromkeys([*rule, *nested, *(step for step in layout.postprocess if step not in UNFITTED_STEPS)]))


def read_fusion(path: str | Path) -> SavedFusion:
    """Weights that were kept in `path`.

    Raises:
        DataError: it cannot be read or is no such file.
    """
    try:
        return SavedFusion.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise DataError(
            f"{path}: {first_validation_error(error)}; it is not what `avscene fuse --json` writes"
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows of aligned tables: `first` is one of these, `scores` has the probabilities of each, zeros raised."""

    first: ScoreTable
    scores: dict[str, FloatArray]

    @classmethod
    def of(cls, aligned: Aligned) -> "_Rows":
        scores = {name: table.floored for name, table in aligned.tables.items()}
        return cls(next(iter(aligned.tables.values())), scores)

    @property
    def labels(self) -> LabelSet:
        return self.first.labels

    @property
    def source(self) -> str:
        return self.first.source

    @property
    def all(self) -> IntArray:
        return np.arange(len(self.first))

    @property
    def truth(self) -> IntArray:
        return self.first.truth_index

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each row; where the tables know of none, its recording."""
        return self.first.groups or self.first.filenames

    @property
    def times(self) -> Times | None:
        return None if self.first.starts is None else Times(self.first.filenames, self.first.starts)

    def tables(self, stages: Mapping[str, FloatArray]) -> dict[str, ScoreTable]:
        return {
            stage: replace(self.first, probabilities=values, resolution=0.0, source=stage)
            for stage, values in stages.items()
        }


def _check_scenes(rows: _Rows, labels: Iterable[str], whose: str) -> None:
    if odd := sorted(set(rows.labels) ^ set(labels)):
        raise DataError(f"{rows.source}: has other scenes than {whose}; they differ in {', '.join(odd)}")


def _check_apart(rows: _Rows, learnt: _Rows) -> None:
    advice = "fit weights on other recordings than those that are fused"
    first, second = (Side(part.source, part.groups, part.first.filenames) for part in (learnt, rows))
    check_apart(first, second, advice)
    first, second = (Side(part.source, part.first.filenames) for part in (learnt, rows))
    check_apart(first, second, advice, kind="recording")


def _bare(layout: Layout) -> Fusion:
    """A layout that has nothing to fit, as a fusion."""
    members = tuple(_bare(member) if isinstance(member, Layout) else member for member in layout.members)
    rule = UNFITTED_RULES[layout.rule]() if layout.rule is not None and len(members) > 1 else None
    steps = tuple(Smooth() for _ in layout.postprocess)
    return Fusion(name=layout.name, members=members, rule=rule, steps=steps)


def _saved(rows: _Rows, fusion: Fusion, groups: Sequence[str]) -> SavedFusion:
    return SavedFusion(labels=rows.labels.names, fusion=fusion, groups=tuple(sorted(set(groups))))
