"""Read prediction tables of several systems, fuse them, and evaluate every stage of the fusion."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, get_args

import numpy as np

from avscene.errors import UsageError
from avscene.evaluation.tables import Evaluation, evaluate_tables
from avscene.fusion.pooling import Confidence
from avscene.fusion.rules import RULES, RuleName
from avscene.fusion.steps import STEPS, StepName
from avscene.fusion.tables import Fused, fuse_cross_fitted, fuse_fitted, fuse_saved, fuse_unfitted, read_fusion
from avscene.fusion.tree import FUSED, Layout
from avscene.records import Needs
from avscene.tables.alignment import Aligned, align
from avscene.tables.collection import Tables, read_tables
from avscene.tables.score_table import ScoreTable
from avscene.tables.truth import add_truth

logger = logging.getLogger(__name__)

FOLDS = 5  # of a cross-fit, unless given
DEFAULT_RULE: RuleName = "log-pool"
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, repr=False)
class FusionResult:
    """The result of `fuse`: the fused table and its weights, and the evaluation of all systems and stages.

    Attributes:
        fused: the table after the rule and each step, and the weights.
        evaluation: metrics of the systems and of every stage; None if the true scenes are unknown.
        how: which rule was used, and what its weights were fitted on, in words.
    """

    fused: Fused
    evaluation: Evaluation | None
    how: str

    @property
    def table(self) -> ScoreTable:
        """The fused table."""
        return self.fused.table

    def to_dict(self) -> dict[str, Any]:
        """Return weights, what they were fitted on, and metrics as plain values: what `avscene fuse --json` writes."""
        content = self.fused.saved.model_dump(mode="json") | {"fitted_on": self.fused.fitted_on}
        if self.fused.cross_fit_losses:
            content["cross_fit_log_losses"] = {
                stage: list(losses) for stage, losses in self.fused.cross_fit_losses.items()
            }
        if self.evaluation is not None:
            content["figures"] = self.evaluation.to_dict()
        return content

    def to_pandas(self) -> Any:
        """Return the metrics as `Evaluation.to_pandas` does.

        Raises:
            UsageError: the true scenes are unknown.
            PackageError: pandas is not installed.
        """
        if self.evaluation is None:
            raise UsageError(f"no metrics: {self.table.why_no_truth}")
        return self.evaluation.to_pandas()

    def __repr__(self) -> str:
        names = ", ".join(self.fused.saved.fusion.models)
        figures = "" if self.evaluation is None else f": {self.evaluation!r}"
        return f"FusionResult({names}; {self.how}{figures})"

    def _repr_html_(self) -> str:
        import html

        figures = "" if self.evaluation is None else self.evaluation._repr_html_()
        return f"<div><p>{html.escape(self.how)}</p>{figures}</div>"


def fuse(
    tables: Tables,
    *,
    rule: RuleName | None = None,
    postprocess: Sequence[StepName] = (),
    confidence: Confidence = "precision",
    fit: Tables | None = None,
    cross_fit: int | None = None,
    weights: PathLike | None = None,
    truth: PathLike | None = None,
) -> FusionResult:
    """Fuse the prediction tables of several systems; no row is fused by weights that were fitted on its group.

    Without `rule`, `fit`, `cross_fit` and `weights`, the rule is a log-linear pool that is cross-fitted over FOLDS
    folds of groups; where the true scenes or the groups are unknown or too few, it is the mean.

    >>> import avscene
    >>> fused = avscene.fuse(["audio.tsv", "video.tsv"])
    >>> fused.how, fused.evaluation.ranking, fused.table.probabilities

    Args:
        tables: one table of each system: paths, `NAME=PATH`, `PredictionTable` objects, or a mapping from names.
        rule: mean, product, samplewise, classwise or log-pool.
        postprocess: steps after the rule, of power, vector and smooth.
        confidence: the weights of `classwise`: precision, recall or f1 of each system and scene.
        fit: tables of the same systems in the same order, of other groups, to fit weights on.
        cross_fit: the number of folds of groups; the weights for each are fitted on the others.
        weights: a file of weights, which `avscene fuse --json` wrote.
        truth: a file with the true scene of each recording, if the tables have none.

    Raises:
        DataError: a table or the weights are malformed, or they do not fit together.
        UsageError: an argument is wrong, two of `fit`, `cross_fit` and `weights` are given, or weights must be fitted
            and there is nothing to fit them on.
    """
    _check_arguments(rule, postprocess, confidence, (fit, cross_fit, weights))
    aligned = _read_aligned(tables, truth)
    if weights is not None:
        fused = fuse_saved(aligned, read_fusion(os.fspath(weights)))
        return _evaluated(aligned, fused, f"weights of {os.fspath(weights)}, fitted on {fused.fitted_on}")
    why = ""
    if rule is None and fit is None and cross_fit is None:
        rule, cross_fit, why = _choose_rule(aligned)
    layout = layout_of_tables(aligned.tables, rule or DEFAULT_RULE, postprocess, confidence)
    if fit is not None:
        fused = fuse_fitted(aligned, _read_fitting(fit, aligned), layout)
    elif cross_fit is not None:
        if _first(aligned).groups is None:
            logger.warning(
                "the tables have no column 'group': each recording counts as a group, so results are too good if "
                "recordings share a place"
            )
        fused = fuse_cross_fitted(aligned, layout, cross_fit)
    else:
        fused = fuse_unfitted(aligned, layout)
    return _evaluated(aligned, fused, f"{_describe(layout)}; weights fitted on {fused.fitted_on}{why}")


def _evaluated(aligned: Aligned, fused: Fused, how: str) -> FusionResult:
    """Evaluate all systems and every stage of their fusion, if the true scenes are known."""
    first = _first(aligned)
    if first.truth is None:
        logger.warning(f"fused but not evaluated: {first.why_no_truth}")
        return FusionResult(fused, None, how)
    return FusionResult(fused, evaluate_tables({**aligned.tables, **fused.stages}), how)


def _choose_rule(aligned: Aligned) -> tuple[RuleName, int | None, str]:
    """Return the rule, the number of folds to fit it on, and for the mean the reason why nothing can be fitted."""
    first = _first(aligned)
    if len(aligned.tables) == 1:
        return "mean", None, ""
    if first.truth is None:
        return "mean", None, ": the true scenes are unknown"
    groups = len(set(first.groups or ()))
    if groups < FOLDS:
        known = f"there are only {groups} groups" if groups else "the groups are unknown"
        return "mean", None, f": {known}, and a cross-fit of log-pool needs {FOLDS}"
    if len(np.unique(first.truth_index)) < 2:
        return "mean", None, ": all rows are of one scene"
    return DEFAULT_RULE, FOLDS, ""


def _describe(layout: Layout) -> str:
    steps = "".join(f" + {step}" for step in layout.postprocess)
    return f"rule {layout.rule}{steps}"


def layout_of_tables(
    tables: Mapping[str, ScoreTable],
    rule: RuleName,
    steps: Sequence[StepName] = (),
    confidence: Confidence = "precision",
) -> Layout:
    """Return the tree of a fusion: a log-linear pool fuses each modality first, if all tables name their modality."""
    members: tuple[str | Layout, ...] = tuple(tables)
    modalities: dict[Needs | None, list[str]] = {}
    for name, table in tables.items():
        modalities.setdefault(table.modality, []).append(name)
    if rule == "log-pool" and None not in modalities and len(modalities) > 1:
        members = tuple(
            names[0] if len(names) == 1 else Layout(name=f"{modality}-pool", members=tuple(names), rule=rule)
            for modality, names in modalities.items()
        )
    needs = {name: table.modality for name, table in tables.items() if table.modality is not None}
    return Layout(
        name=FUSED,
        members=members,
        rule=rule,
        confidence=confidence,
        needs=needs | {f"{modality}-pool": modality for modality in modalities if modality is not None},
        postprocess=tuple(steps),
    )


def _check_arguments(
    rule: str | None, steps: Sequence[str], confidence: str, sources: tuple[object, object, object]
) -> None:
    if sum(source is not None for source in sources) > 1:
        raise UsageError("fit, cross-fit and weights are three sources of weights; give one of them")
    if sources[2] is not None and (rule is not None or steps):
        raise UsageError("saved weights include the rule and steps; leave rule and postprocess out")
    given = [("rule", rule, RULES), ("confidence", confidence, get_args(Confidence))]
    for name, value, known in (*given, *(("postprocess", step, STEPS) for step in steps)):
        if value is not None and value not in known:
            raise UsageError(f"{name} {value!r} is not one of {', '.join(known)}")


def _read_aligned(sources: Tables, truth: PathLike | None) -> Aligned:
    """Read and align the tables under the names of their systems; log which rows are left out."""
    tables = dict(read_tables(sources).tables)
    if truth is not None:
        tables = {name: add_truth(table, os.fspath(truth)) for name, table in tables.items()}
    names = [_system_name(name, table) for name, table in tables.items()]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two tables are called {twice[0]!r}; name them: A=FIRST.tsv B=SECOND.tsv")
    return _align_as(dict(zip(names, tables.values(), strict=True)))


def _read_fitting(sources: Tables, aligned: Aligned) -> Aligned:
    """Read and align tables to fit on, in the order of the systems."""
    tables = read_tables(sources).tables
    if len(tables) != len(aligned.tables):
        raise UsageError(
            f"--fit: {len(tables)} table(s) for {len(aligned.tables)} systems; give one table of each system in the "
            "same order"
        )
    return _align_as(dict(zip(aligned.tables, tables.values(), strict=True)))


def _align_as(tables: Mapping[str, ScoreTable]) -> Aligned:
    """Align tables by name; messages call them by their sources."""
    sources = [table.source for table in tables.values()]
    called = sources if len(set(sources)) == len(sources) else list(tables)
    aligned = align(dict(zip(called, tables.values(), strict=True)))
    for line in aligned.left_out:
        logger.warning(line)
    return replace(aligned, tables=dict(zip(tables, aligned.tables.values(), strict=True)))


def _system_name(name: str, table: ScoreTable) -> str:
    """Return the name of a system: that of its table, without the ending of a file and with few kinds of characters."""
    if PurePath(name).name == Path(table.source).name:
        name = str(PurePath(name).with_suffix(""))
    return re.sub(r"[^A-Za-z0-9+_-]+", "-", name).strip("-") or "table"


def _first(aligned: Aligned) -> ScoreTable:
    return next(iter(aligned.tables.values()))
