"""Figures as text tables, JSON and reports."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avscene.cli.output.files import Sink, printable
from avscene.errors import DataError
from avscene.evaluation.bootstrap import LEVEL
from avscene.evaluation.comparison import Comparison, compare
from avscene.evaluation.measurement import Measurement, measure
from avscene.models import registry
from avscene.models.weights import presence
from avscene.reports.evaluation.page import ReportRow, write_report
from avscene.reports.result_tables import (
    city_table,
    complementarity_table,
    difference_table,
    scene_table,
    spelt,
    unseen_table,
)
from avscene.reports.results import to_dict
from avscene.reports.text_table import TextTable
from avscene.tables.alignment import align
from avscene.tables.score_table import ScoreTable
from avscene.tables.training_pairs import read_training_pairs

logger = logging.getLogger(__name__)

OVERALL = (
    ("log loss", "log_loss"),
    ("log loss, class mean", "log_loss_class_mean"),
    ("accuracy", "accuracy"),
    ("accuracy, class mean", "accuracy_class_mean"),
    ("calibration error", "expected_calibration_error"),
    ("Brier score", "brier_score"),
    ("risk-coverage area", "risk_coverage_area"),
)


@dataclass(frozen=True)
class EvaluationResult:
    """Tables by name with what was measured of each, and how they compare on the rows that all of them have.

    `comparison` is None where there is nothing to compare; `same_rows` tells that no table has rows which others lack.
    """

    tables: Mapping[str, ScoreTable]
    measured: Mapping[str, Measurement]
    comparison: Comparison | None
    same_rows: bool = False


def judge(tables: Mapping[str, ScoreTable], trained_on: Path | None) -> EvaluationResult:
    """Measure each table and compare them; log what is left out of the comparison, or why there is none.

    `trained_on` is a list of what the systems were trained on, as `read_training_pairs` reads it.

    Raises:
        DataError: a table has no truth, or `trained_on` is malformed.
    """
    seen = None if trained_on is None else read_training_pairs(trained_on)
    measured = {name: measure(table, seen=seen) for name, table in tables.items()}
    if len(tables) == 1:
        return EvaluationResult(tables, measured, None)
    try:
        aligned = align(tables)
        comparison = compare(aligned.tables)
    except DataError as error:
        logger.info(f"not compared: {error}")
        return EvaluationResult(tables, measured, None)
    for line in aligned.left_out:
        logger.info(f"compared on {comparison.n} rows; {line}")
    return EvaluationResult(tables, measured, comparison, same_rows=not aligned.left_out)


def rendered(judgement: EvaluationResult) -> str:
    """All figures as text: of each table overall, by scene and by city, then how the tables compare."""
    blocks = []
    for name, found in judgement.measured.items():
        blocks.append(_overall(name, found))
        tables = (scene_table(found), city_table(found), unseen_table(found.unseen))
        blocks += [_text(table) for table in tables if table.rows]
    if judgement.comparison is not None:
        blocks += [_text(made(judgement.comparison)) for made in (difference_table, complementarity_table)]
    return "\n\n".join(blocks)


def _overall(name: str, found: Measurement) -> str:
    rows = []
    for heading, figure in OVERALL:
        interval = found.intervals.get(figure)
        between = "" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
        rows.append([heading, f"{getattr(found.segments, figure):.4f}", between])
    extent = f"{printable(name)}: {found.segments.n} rows"
    if found.why_no_intervals:
        return f"{extent}; no intervals: {found.why_no_intervals}\n{_aligned(['overall', '', ''], rows)}"
    return f"{extent} in {found.groups} groups\n{_aligned(['overall', '', f'{LEVEL:.0%} interval'], rows)}"


def _text(table: TextTable) -> str:
    says = f"  {table.says}\n" if table.says else ""
    return says + _aligned(
        [column.lower() for column in table.columns], [[printable(spelt(cell)) for cell in row] for row in table.rows]
    )


def rows_table(rows: Sequence[ReportRow]) -> str:
    """Systems side by side as text."""
    cells = [
        [row.name, f"{row.measured.segments.log_loss:.3f}", f"{row.measured.segments.accuracy:.1%}", row.note]
        for row in rows
    ]
    return _aligned(["system", "log loss", "accuracy", ""], cells)


def systems_table() -> str:
    """Every named system as text: what it is, what it needs, the seed's figures, whether its weights are here."""
    cells = []
    for name, row in registry.systems().items():
        published = f"{row.paper.log_loss:.3f} / {row.paper.accuracy:.1f} %" if row.paper else ""
        cells.append([name, row.needs, published, presence.presence(name)[1], row.title])
    table = _aligned(["system", "needs", "published", "weights", ""], cells)
    return table + "\n  DIRECTORY  a checkpoint of your own: avscene train fast --data DATA --output DIRECTORY"


def write_json(path: Path, judgement: EvaluationResult) -> None:
    """Write all figures as JSON, by table."""
    with Sink(path) as sink:
        sink.write(json.dumps(plain(judgement), indent=2, allow_nan=False) + "\n")


def plain(judgement: EvaluationResult) -> dict[str, Any]:
    """All figures as plain values, by table."""
    return {
        name: to_dict(judgement.tables[name], found, judgement.comparison, name)
        for name, found in judgement.measured.items()
    }


def write_report_of(path: Path, judgement: EvaluationResult) -> None:
    """Write a page of plots for tables whose origin is not known here."""
    rows = [
        ReportRow(
            name=name,
            note="",
            measured=found,
            fitted_on="",
            measured_on="" if judgement.same_rows else name,
            table=judgement.tables[name],
        )
        for name, found in judgement.measured.items()
    ]
    summary = "One prediction table." if len(rows) == 1 else f"{len(rows)} prediction tables."
    if judgement.comparison is not None:
        rest = (
            "" if judgement.same_rows else ", those that all of them have; the other figures are of all rows of a table"
        )
        summary += f" They are compared on {judgement.comparison.n:,} rows{rest}."
    write_report(path, title="Evaluation", summary=summary, rows=rows, comparison=judgement.comparison)


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join(lines)
