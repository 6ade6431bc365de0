"""Format metrics and systems as text tables for a terminal."""

import textwrap
from collections.abc import Sequence
from typing import Any

from avscene.cli.output.files import printable
from avscene.evaluation.bootstrap import LEVEL
from avscene.evaluation.measurement import Measurement
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
from avscene.reports.text_table import TextTable

SYSTEMS_WIDTH = 100  # columns

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


def systems_text() -> str:
    """Return the named systems in groups, at most SYSTEMS_WIDTH wide: modalities, weights, title, published metrics."""
    rows = registry.systems().values()
    groups = {
        "Classify at once, any scenes (--labels a,b,c)": [row for row in rows if not row.trained],
        "Train on your own recordings, then --system DIRECTORY": [row for row in rows if row.trained and not row.paper],
        "Train as the paper did": [row for row in rows if row.trained and row.paper],
    }
    width = max(len(row.name) for row in rows)
    blocks = [
        f"{heading}\n" + "\n".join(_system_lines(row, width) for row in group) for heading, group in groups.items()
    ]
    legend = "The last figures are log loss and accuracy in the paper. Weights that are missing: avscene doctor"
    return "\n\n".join([*blocks, legend])


def _system_lines(row: registry.SystemRow, width: int) -> str:
    published = f" ({row.paper.log_loss:.3f} / {row.paper.accuracy:.1f} %)" if row.paper else ""
    start = f"  {row.name:{width}}  {row.needs:5}  {presence.weights_state(row.name):11}  "
    return textwrap.fill(row.title + published, SYSTEMS_WIDTH, initial_indent=start, subsequent_indent=" " * len(start))


def systems_json() -> list[dict[str, Any]]:
    """Return the named systems as plain values."""
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "title": row.title,
            "needs": row.needs,
            "trained": row.trained,
            "weights": presence.weights_state(row.name),
            "paper": None if row.paper is None else row.paper.model_dump(),
        }
        for row in registry.systems().values()
    ]


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join(lines)
