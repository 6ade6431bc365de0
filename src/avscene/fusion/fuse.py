"""Read prediction tables of several systems, fuse them, and evaluate every stage of the fusion."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avscene.errors import UsageError
from avscene.evaluation.tables import EvaluationResult, evaluate_tables
from avscene.fusion.pooling import Confidence
from avscene.fusion.rules import RuleName
from avscene.fusion.steps import StepName
from avscene.fusion.tables import Fused, fuse_cross_fitted, fuse_fitted, fuse_saved, fuse_unfitted, read_fusion
from avscene.fusion.tree import FUSED, Layout
from avscene.records import Needs
from avscene.tables.alignment import Aligned, align
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FusionOptions:
    """A fusion rule, post-processing steps and the data to fit weights on: `fit` tables, `folds` of groups, or none."""

    rule: RuleName
    steps: tuple[StepName, ...] = ()
    confidence: Confidence = "precision"
    fit: tuple[Path, ...] = ()
    folds: int | None = None


def fuse_files(paths: Sequence[Path], options: FusionOptions | Path) -> tuple[Aligned, Fused]:
    """Read, align and fuse tables; log which rows are left out.

    Args:
        paths: one table of each system.
        options: how to fuse and what to fit weights on, or a file of weights that an earlier fusion saved.

    Raises:
        DataError: a table or the weights are malformed, or they do not fit together.
        UsageError: weights must be fitted and there is nothing to fit them on.
    """
    names = system_names(paths)
    aligned = _read_aligned(dict(zip(names, paths, strict=True)))
    if isinstance(options, Path):
        return aligned, fuse_saved(aligned, read_fusion(options))
    layout = layout_of_tables(aligned.tables, options)
    if options.fit:
        if len(options.fit) != len(paths):
            raise UsageError(
                f"--fit: {len(options.fit)} table(s) for {len(paths)} systems; after all other options, give one table "
                "of each system in the same order"
            )
        return aligned, fuse_fitted(aligned, _read_aligned(dict(zip(names, options.fit, strict=True))), layout)
    if options.folds is not None:
        if next(iter(aligned.tables.values())).groups is None:
            logger.warning(
                "the tables have no column 'group': each recording counts as a group, so results are too good if "
                "recordings share a place"
            )
        return aligned, fuse_cross_fitted(aligned, layout, options.folds)
    return aligned, fuse_unfitted(aligned, layout)


def evaluate_fusion(aligned: Aligned, fused: Fused) -> EvaluationResult | None:
    """Evaluate all systems and every stage of their fusion; return None if the tables have no truth."""
    if next(iter(aligned.tables.values())).truth is None:
        logger.warning("the tables have no column 'true_label': fused but not evaluated")
        return None
    return evaluate_tables({**aligned.tables, **fused.stages})


def layout_of_tables(tables: Mapping[str, ScoreTable], options: FusionOptions) -> Layout:
    """Return the tree of a fusion: a log-linear pool fuses each modality first, if all tables name their modality."""
    members: tuple[str | Layout, ...] = tuple(tables)
    modalities: dict[Needs | None, list[str]] = {}
    for name, table in tables.items():
        modalities.setdefault(table.modality, []).append(name)
    if options.rule == "log-pool" and None not in modalities and len(modalities) > 1:
        members = tuple(
            names[0] if len(names) == 1 else Layout(name=f"{modality}-pool", members=tuple(names), rule=options.rule)
            for modality, names in modalities.items()
        )
    needs = {name: table.modality for name, table in tables.items() if table.modality is not None}
    return Layout(
        name=FUSED,
        members=members,
        rule=options.rule,
        confidence=options.confidence,
        needs=needs | {f"{modality}-pool": modality for modality in modalities if modality is not None},
        postprocess=options.steps,
    )


def system_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each system, taken from the file name of its table.

    Raises:
        UsageError: two systems would have the same name.
    """
    names = [re.sub(r"[^A-Za-z0-9+_-]+", "-", path.stem).strip("-") or "table" for path in paths]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two tables are called {twice[0]!r}; systems are named after their files: rename one")
    return names


def _read_aligned(paths: Mapping[str, Path]) -> Aligned:
    aligned = align({str(path): read_table(path) for path in paths.values()})
    for line in aligned.left_out:
        logger.warning(line)
    return replace(aligned, tables=dict(zip(paths, aligned.tables.values(), strict=True)))
