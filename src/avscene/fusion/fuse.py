"""Prediction tables in files to fused ones, with the figures of everything that had a part in them."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from avscene.cli.output.figures import EvaluationResult, judge, plain
from avscene.cli.output.files import Sink
from avscene.errors import UsageError
from avscene.fusion.ensemble import Confidence
from avscene.fusion.steps import StepKind
from avscene.fusion.tables import Fused, fuse_cross_fitted, fuse_fitted, fuse_plain, fuse_saved, read_fusion
from avscene.fusion.tree import FUSED, Layout, RuleKind
from avscene.records import Needs
from avscene.reports.evaluation.page import ReportRow, write_report
from avscene.tables.alignment import Aligned, align
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How tables are to be fused, and what weights are fitted on: `fit` tables, `folds` of groups, or nothing."""

    rule: RuleKind
    steps: tuple[StepKind, ...] = ()
    confidence: Confidence = "precision"
    fit: tuple[Path, ...] = ()
    folds: int | None = None


def fuse_files(paths: Sequence[Path], wanted: Wanted) -> tuple[Aligned, Fused]:
    """Read, align and fuse tables; log which rows are left out.

    Raises:
        DataError: a table is malformed, or they do not go together.
        UsageError: weights are to be fitted and nothing says on what.
    """
    names = system_names(paths)
    aligned = _aligned(dict(zip(names, paths, strict=True)))
    layout = layout_of(aligned.tables, wanted)
    if wanted.fit:
        if len(wanted.fit) != len(paths):
            raise UsageError(
                f"--fit: {len(wanted.fit)} table(s) for {len(paths)} systems; after all others, give one of each in "
                "the same order"
            )
        return aligned, fuse_fitted(aligned, _aligned(dict(zip(names, wanted.fit, strict=True))), layout)
    if wanted.folds is not None:
        _warn_without_groups(aligned)
        return aligned, fuse_cross_fitted(aligned, layout, wanted.folds)
    return aligned, fuse_plain(aligned, layout)


def fuse_by_weights(paths: Sequence[Path], weights: Path) -> tuple[Aligned, Fused]:
    """The same by weights that an earlier fusion kept.

    Raises:
        DataError: a table or the weights are malformed, or they do not go together.
    """
    aligned = _aligned(dict(zip(system_names(paths), paths, strict=True)))
    return aligned, fuse_saved(aligned, read_fusion(weights))


def layout_of(tables: Mapping[str, ScoreTable], wanted: Wanted) -> Layout:
    """How to fuse `tables`: under a log-linear pool those of each modality first, where all say what they look at."""
    members: tuple[str | Layout, ...] = tuple(tables)
    modalities: dict[Needs | None, list[str]] = {}
    for name, table in tables.items():
        modalities.setdefault(table.modality, []).append(name)
    if wanted.rule == "log-pool" and None not in modalities and len(modalities) > 1:
        members = tuple(
            names[0] if len(names) == 1 else Layout(name=f"{modality}-pool", members=tuple(names), rule=wanted.rule)
            for modality, names in modalities.items()
        )
    needs = {name: table.modality for name, table in tables.items() if table.modality is not None}
    return Layout(
        name=FUSED,
        members=members,
        rule=wanted.rule,
        confidence=wanted.confidence,
        needs=needs | {f"{modality}-pool": modality for modality in modalities if modality is not None},
        postprocess=wanted.steps,
    )


def system_names(paths: Sequence[Path]) -> list[str]:
    """What systems are called by the files of their tables.

    Raises:
        UsageError: two would be called alike.
    """
    names = [re.sub(r"[^A-Za-z0-9+_-]+", "-", path.stem).strip("-") or "table" for path in paths]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"two tables are called {twice[0]!r}; systems are called by their files: rename one")
    return names


def judged(aligned: Aligned, fused: Fused) -> EvaluationResult | None:
    """Figures of all systems and of every stage of their fusion; None where the tables have no truth."""
    if next(iter(aligned.tables.values())).truth is None:
        logger.info("the tables have no true_label: fused, not judged")
        return None
    return judge({**aligned.tables, **fused.stages}, None)


def write_weights(path: Path, fused: Fused, judgement: EvaluationResult | None) -> None:
    """Write the weights as JSON, with what they were fitted on and the figures."""
    content = fused.saved.model_dump(mode="json") | {"fitted_on": fused.fitted_on}
    if judgement is not None:
        content["figures"] = plain(judgement)
    with Sink(path) as sink:
        sink.write(json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_fusion_report(path: Path, fused: Fused, judgement: EvaluationResult) -> None:
    """Write one page about the systems and every stage of their fusion."""
    rows = [
        ReportRow(
            name=name,
            note="fused" if name in fused.stages else "",
            measured=found,
            fitted_on=fused.fitted_on if name in fused.stages else "as its table says",
            measured_on="",
            table=judgement.tables[name],
        )
        for name, found in judgement.measured.items()
    ]
    summary = (
        f"{len(rows) - len(fused.stages)} systems and their fusion on the same rows. Every row was fused by weights "
        f"that its group had no part in; they were fitted on: {fused.fitted_on}."
    )
    write_report(path, title="Fusion", summary=summary, rows=rows, comparison=judgement.comparison)


def _aligned(paths: Mapping[str, Path]) -> Aligned:
    aligned = align({str(path): read_table(path) for path in paths.values()})
    for line in aligned.left_out:
        logger.info(line)
    return replace(aligned, tables=dict(zip(paths, aligned.tables.values(), strict=True)))


def _warn_without_groups(aligned: Aligned) -> None:
    if next(iter(aligned.tables.values())).groups is None:
        logger.info(
            "the tables say no group: every recording counts as one, and recordings of one place flatter each other"
        )
