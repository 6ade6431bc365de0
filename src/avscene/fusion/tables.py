"""Fuse aligned prediction tables of several systems by weights that were fitted on other rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from avscene.errors import DataError, UsageError, first_validation_error
from avscene.files import read_bytes
from avscene.fusion.cross_fit import apply_stages, cross_fit, fit_on_rows
from avscene.fusion.rules import RULES
from avscene.fusion.steps import STEPS, Times
from avscene.fusion.tree import Fusion, Layout
from avscene.groups import Side, check_apart
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray
from avscene.tables.alignment import Aligned
from avscene.tables.score_table import ScoreTable


class SavedFusion(BaseModel):
    """A fusion as stored: its weights, and the groups of the rows that they were fitted on."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # the file also has metrics

    format: Literal["avscene-fusion/1"] = "avscene-fusion/1"
    labels: tuple[str, ...]
    fusion: Fusion
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """The fused tables after the rule and each step, the weights, and a description of what they were fitted on.

    `cross_fit_losses` are the log losses of each stage by the assignments of a cross-fit; empty without one.
    """

    stages: dict[str, ScoreTable]
    saved: SavedFusion
    fitted_on: str
    cross_fit_losses: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def table(self) -> ScoreTable:
        """The table after the last step."""
        return list(self.stages.values())[-1]


def fuse_unfitted(aligned: Aligned, layout: Layout) -> Fused:
    """Fuse by a rule and steps without weights.

    Raises:
        UsageError: the rule or a step has weights to fit.
    """
    if fitted := needs_fitting(layout):
        raise UsageError(
            f"{' and '.join(fitted)} must be fitted on other rows than those that are fused: give --fit with tables of "
            "the same systems, or --cross-fit 5"
        )
    rows = _FusionRows.of(aligned)
    fusion = _unfitted_fusion(layout)
    stages = apply_stages(fusion, rows.scores, rows.labels, rows.times)
    return Fused(rows.tables(stages), _to_saved(rows, fusion, ()), "nothing")


def fuse_cross_fitted(aligned: Aligned, layout: Layout, n_folds: int) -> Fused:
    """Fuse each row by weights fitted on other groups (`CrossFitted`); the weights to store are fitted on all rows.

    Raises:
        DataError: the tables have no truth, too few groups, or rows of one scene.
    """
    rows = _FusionRows.of(aligned)
    groups = rows.groups
    found = cross_fit(layout, rows.scores, rows.truth, groups, rows.labels, n_folds, rows.times)
    fusion = rows.fit(layout)
    fitted_on = f"the other {n_folds - 1} of {n_folds} folds of {len(set(groups))} groups, separately for each fold"
    return Fused(rows.tables(found.stages), _to_saved(rows, fusion, groups), fitted_on, found.losses)


def fuse_fitted(aligned: Aligned, fitting: Aligned, layout: Layout) -> Fused:
    """Fuse by weights fitted on the rows of `fitting`, which has tables of the same names.

    Raises:
        DataError: a group or a file is in both; `fitting` has no truth, different scenes, or rows of one scene.
    """
    rows, fitting_rows = _FusionRows.of(aligned), _FusionRows.of(fitting)
    _check_scenes(fitting_rows, rows.labels, rows.source)
    _check_apart(rows, fitting_rows)
    fusion = fitting_rows.fit(layout)
    stages = apply_stages(fusion, rows.scores, rows.labels, rows.times)
    groups = fitting_rows.groups
    fitted_on = f"{len(groups)} rows of {len(set(groups))} groups in {fitting_rows.source}"
    return Fused(rows.tables(stages), _to_saved(rows, fusion, groups), fitted_on)


def fuse_saved(aligned: Aligned, saved: SavedFusion) -> Fused:
    """Fuse by stored weights.

    Raises:
        DataError: they are for different scenes or systems, or were fitted on a group of the tables.
    """
    rows = _FusionRows.of(aligned)
    _check_scenes(rows, saved.labels, "the weights")
    if set(saved.fusion.models) != set(rows.scores):
        raise DataError(
            f"the weights are for {', '.join(saved.fusion.models)}, but the tables are {', '.join(rows.scores)}: "
            "name the files after the systems"
        )
    check_apart(
        Side("what the weights were fitted on", saved.groups),
        Side(rows.source, rows.groups, rows.first.filenames),
        "leave it out, or fit with --cross-fit",
    )
    stages = apply_stages(saved.fusion, rows.scores, rows.labels, rows.times)
    return Fused(rows.tables(stages), saved, f"{len(saved.groups)} groups of an earlier fusion")


def needs_fitting(layout: Layout) -> tuple[str, ...]:
    """Return the names of the rules and steps of a layout that have weights."""
    rule = [layout.rule] if layout.rule is not None and RULES[layout.rule].has_weights else []
    nested = [name for member in layout.members if isinstance(member, Layout) for name in needs_fitting(member)]
    steps = [name for name in layout.postprocess if STEPS[name].has_weights]
    return tuple(dict.fromkeys([*rule, *nested, *steps]))


def read_fusion(path: str | Path) -> SavedFusion:
    """Read the weights that `avscene fuse --json` stored in `path`.

    Raises:
        DataError: the file cannot be read or has no weights.
    """
    try:
        return SavedFusion.model_validate_json(read_bytes(Path(path)))
    except ValidationError as error:
        raise DataError(
            f"{path}: {first_validation_error(error)}; it is not what `avscene fuse --json` writes"
        ) from error


@dataclass(frozen=True, slots=True, eq=False)
class _FusionRows:
    """The rows of aligned tables: `first` is the first table, `scores` are the probabilities of each, zeros raised."""

    first: ScoreTable
    scores: dict[str, FloatArray]

    @classmethod
    def of(cls, aligned: Aligned) -> "_FusionRows":
        scores = {name: table.floored for name, table in aligned.tables.items()}
        return cls(next(iter(aligned.tables.values())), scores)

    @property
    def labels(self) -> LabelSet:
        return self.first.labels

    @property
    def source(self) -> str:
        return self.first.source

    @property
    def truth(self) -> IntArray:
        return self.first.truth_index

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each row; its recording if the tables have no groups."""
        return self.first.groups or self.first.filenames

    @property
    def times(self) -> Times | None:
        return None if self.first.starts is None else Times(self.first.filenames, self.first.starts)

    def fit(self, layout: Layout) -> Fusion:
        """Return the layout fitted on all rows."""
        every_row = np.arange(len(self.first))
        return fit_on_rows(layout, self.scores, self.truth, self.groups, self.labels, self.times, every_row)

    def tables(self, stages: Mapping[str, FloatArray]) -> dict[str, ScoreTable]:
        return {
            stage: replace(self.first, probabilities=values, resolution=0.0, source=stage)
            for stage, values in stages.items()
        }


def _check_scenes(rows: _FusionRows, labels: Iterable[str], whose: str) -> None:
    if different := sorted(set(rows.labels) ^ set(labels)):
        raise DataError(f"{rows.source}: its scenes are not those of {whose}; they differ in {', '.join(different)}")


def _check_apart(rows: _FusionRows, fitting_rows: _FusionRows) -> None:
    advice = "fit weights on other recordings than those that are fused"
    first, second = (Side(part.source, part.groups, part.first.filenames) for part in (fitting_rows, rows))
    check_apart(first, second, advice)
    first, second = (Side(part.source, part.first.filenames) for part in (fitting_rows, rows))
    check_apart(first, second, advice, kind="recording")


def _unfitted_fusion(layout: Layout) -> Fusion:
    """The fusion of a layout without weights."""
    members = tuple(_unfitted_fusion(member) if isinstance(member, Layout) else member for member in layout.members)
    rule = RULES[layout.rule]() if layout.rule is not None and len(members) > 1 else None
    steps = tuple(STEPS[name]() for name in layout.postprocess)
    return Fusion(name=layout.name, members=members, rule=rule, steps=steps)  # type: ignore[arg-type]  # of the unions


def _to_saved(rows: _FusionRows, fusion: Fusion, groups: Sequence[str]) -> SavedFusion:
    return SavedFusion(labels=rows.labels.names, fusion=fusion, groups=tuple(sorted(set(groups))))
