"""Format metrics and systems as text tables for a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from avscene.cli.output.files import printable
from avscene.evaluation.bootstrap import LEVEL
from avscene.evaluation.measurement import Measurement
from avscene.evaluation.summary import summarise
from avscene.evaluation.tables import EvaluationResult
from avscene.models import presence, registry
from avscene.reports.evaluation.page import ReportRow
from avscene.reports.result_tables import (
    city_table,
    complementarity_table,
    difference_table,
    join_lines,
    scene_table,
    unseen_table,
)
from avscene.reports.summary import figures_text
from avscene.reports.text_table import TextTable

if TYPE_CHECKING:
    from avscene.training.cross_validation import CrossValidation

# Heading, and attribute of `TableMetrics`.
_OVERALL = (
    ("log loss", "log_loss"),
    ("log loss, macro average", "log_loss_class_mean"),
    ("accuracy", "accuracy"),
    ("accuracy, macro average", "accuracy_class_mean"),
    ("expected calibration error (ECE)", "expected_calibration_error"),
    ("Brier score", "brier_score"),
    ("AURC", "risk_coverage_area"),
)


def evaluation_text(result: EvaluationResult) -> str:
    """Return the metrics of each table, overall, by scene and by city, then the comparison of the tables."""
    blocks = []
    for name, measured in result.measured.items():
        blocks.append(_overall(name, measured))
        tables = (scene_table(measured), city_table(measured), unseen_table(measured.unseen))
        blocks += [_text(table) for table in tables if table.rows]
    if result.comparison is not None:
        blocks += [_text(build(result.comparison)) for build in (difference_table, complementarity_table)]
    return "\n\n".join(blocks)


def _overall(name: str, measured: Measurement) -> str:
    rows = []
    for heading, metric in _OVERALL:
        interval = measured.intervals.get(metric)
        limits = "" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
        rows.append([heading, f"{getattr(measured.segments, metric):.4f}", limits])
    title = f"{printable(name)}: {measured.segments.n} rows"
    if measured.why_no_intervals:
        return f"{title}; no intervals: {measured.why_no_intervals}\n{_columns(['overall', '', ''], rows)}"
    return f"{title} in {measured.groups} groups\n{_columns(['overall', '', f'{LEVEL:.0%} interval'], rows)}"


def _text(table: TextTable) -> str:
    caption = f"  {table.caption}\n" if table.caption else ""
    return caption + _columns(
        [column.lower() for column in table.columns],
        [[printable(join_lines(cell)) for cell in row] for row in table.rows],
    )


def report_rows_text(rows: Sequence[ReportRow]) -> str:
    """Return log loss and accuracy of systems, one line for each system."""
    cells = [
        [row.name, f"{row.measured.segments.log_loss:.3f}", f"{row.measured.segments.accuracy:.1%}", row.note]
        for row in rows
    ]
    return _columns(["system", "log loss", "accuracy", ""], cells)


def cross_validation_text(result: "CrossValidation") -> str:
    """Return log loss and accuracy of each fold, their mean and standard deviation, and those of all folds pooled."""
    metrics = ("log_loss", "accuracy")
    cells = [
        [f"{result.column}={value}", f"{summary.n}", *(f"{getattr(summary, metric):.4f}" for metric in metrics), ""]
        for value, summary in result.summaries.items()
    ]
    cells.append(["mean", "", *(f"{result.mean(metric):.4f}" for metric in metrics), ""])
    cells.append(["standard deviation", "", *(f"{result.standard_deviation(metric):.4f}" for metric in metrics), ""])
    pooled = summarise(result.pooled)
    cells.append(["pooled", f"{pooled.n}", f"{pooled.log_loss:.4f}", f"{pooled.accuracy:.4f}", figures_text(pooled)])
    return _columns(["", "n", "log loss", "accuracy", ""], cells)


def systems_text() -> str:
    """Return a line for each named system: modalities, metrics in the paper, whether its weights are present, title."""
    cells = []
    for name, row in registry.systems().items():
        published = f"{row.paper.log_loss:.3f} / {row.paper.accuracy:.1f} %" if row.paper else ""
        cells.append([name, row.needs, published, presence.presence(name)[1], row.title])
    table = _columns(["system", "needs", "in the paper", "weights", ""], cells)
    return table + "\n  DIRECTORY  a checkpoint of your own: avscene train fast --data DATA --output DIRECTORY"


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join(lines)
