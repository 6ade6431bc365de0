"""Format metrics and systems as text tables for a terminal."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avscene.cli.output.files import printable
from avscene.evaluation.bootstrap import LEVEL
from avscene.evaluation.measurement import Measurement, SubsetMetrics, mean_and_deviation
from avscene.evaluation.metrics import METRIC_NAMES, confusion
from avscene.evaluation.summary import summarise
from avscene.evaluation.tables import Evaluation
from avscene.fusion.fuse import FusionResult
from avscene.models import presence, registry
from avscene.records import IntArray
from avscene.reports.evaluation.page import ReportRow
from avscene.reports.fusion import cross_fit_text
from avscene.reports.result_tables import (
    complementarity_table,
    difference_table,
    join_lines,
    scene_table,
    subset_tables,
    unseen_table,
    with_interval,
)
from avscene.reports.summary import figures_text
from avscene.reports.text_table import UNDEFINED, TextTable, format_metric
from avscene.tables.folds import FOLD_TABLE
from avscene.tables.score_table import ScoreTable

if TYPE_CHECKING:
    from avscene.training.cross_validation import CrossValidation

MAX_WIDTH = 100  # characters of a confusion matrix; a wider one becomes a list of its largest errors
MAX_CONFUSIONS = 12  # in that list
SYSTEMS_WIDTH = 100  # columns


def evaluation_text(result: Evaluation) -> str:
    """Return the metrics of each table, overall, by scene and by city, then the comparison of the tables."""
    blocks = []
    for name, measured in result.measured.items():
        blocks += [_overall(name, measured), confusion_text(result.tables[name])]
        tables = (scene_table(measured), *subset_tables(measured), unseen_table(measured.unseen))
        blocks += [_text(table) for table in tables if table.rows]
        if name in result.pooled:
            blocks.append(_folds_text(measured.by[FOLD_TABLE]))
    if result.comparison is not None:
        blocks += [_text(build(result.comparison)) for build in (difference_table, complementarity_table)]
    return "\n\n".join(blocks)


def fusion_text(result: FusionResult, output: Path, *, details: bool) -> str:
    """Return how tables were fused and where the result is, then all systems and stages, the best first."""
    lines = [f"{output}: written; {result.how}"]
    evaluation = result.evaluation
    if evaluation is None:
        return lines[0]
    measured = evaluation.measured[evaluation.ranking[0]]
    within = (
        f"; no intervals: {measured.why_no_intervals}" if measured.why_no_intervals else f" in {measured.groups} groups"
    )
    lines += ["", f"  {measured.segments.n} rows{within}"]
    cells = []
    for place, name in enumerate(evaluation.ranking, start=1):
        found = evaluation.measured[name]
        figures = [
            join_lines(with_interval(getattr(found.segments, metric), found.intervals.get(metric)))
            for metric in ("log_loss", "accuracy")
        ]
        cells.append([str(place), printable(name), *figures, "fused" if name in result.fused.stages else ""])
    lines.append(_columns(["", "system", "log loss", "accuracy", ""], cells))
    if cross_fit := cross_fit_text(result.fused):
        lines += ["", cross_fit]
    if not details:
        lines += ["", "all metrics of each system, and their differences: --details, --json FILE or --report FILE.html"]
    return "\n".join(lines)


def confusion_text(table: ScoreTable) -> str:
    """Return the confusion matrix: true scenes in rows, predicted scenes by number in columns; . is 0.

    If it is wider than MAX_WIDTH, the most frequent errors are returned.
    """
    counts = confusion(table.truth_index, table.probabilities)
    names = [printable(scene) for scene in table.labels]
    numbers = [str(number) for number in range(1, len(names) + 1)]
    cells = [[str(count) if count else "." for count in row] for row in counts.tolist()]
    labels = [f"{number:>{len(numbers[-1])}} {name}" for number, name in zip(numbers, names, strict=True)]
    widths = [max(map(len, column)) for column in zip(numbers, *cells, strict=True)]
    first = max(map(len, labels))
    if first + sum(width + 2 for width in widths) > MAX_WIDTH - 2:
        return _errors_text(counts, names)
    lines = [
        "  " + "".join([label.ljust(first), *(f"  {cell:>{width}}" for cell, width in zip(row, widths, strict=True))])
        for label, row in zip(["", *labels], [numbers, *cells], strict=True)
    ]
    return "\n".join(["  confusion matrix (rows: true scenes, columns: predicted scenes)", *lines])


def _errors_text(counts: IntArray, names: Sequence[str]) -> str:
    """The most frequent errors of a confusion matrix, one in each line."""
    errors = counts - np.diag(counts.diagonal())
    order = np.argsort(-errors, axis=None, kind="stable")[:MAX_CONFUSIONS]
    places = [np.unravel_index(place, errors.shape) for place in order.tolist()]
    rows = [
        [names[true], names[predicted], f"{errors[true, predicted]} of {counts[true].sum()}"]
        for true, predicted in places
        if errors[true, predicted]
    ]
    if not rows:
        return "  no prediction was wrong"
    return "  most frequent errors\n" + _columns(["true scene", "predicted scene", "rows"], rows)


def _folds_text(folds: Mapping[str, SubsetMetrics]) -> str:
    found = mean_and_deviation(folds.values())
    parts = [
        f"{_in_line(METRIC_NAMES[name])} {format_metric(mean)} ± {format_metric(deviation)}"
        for name, (mean, deviation) in found.items()
    ]
    return f"  mean and standard deviation over {len(folds)} tables: {', '.join(parts)}"


def _in_line(heading: str) -> str:
    """A heading as the table of a terminal has it: without a capital, except in names."""
    return heading if heading.startswith(("AURC", "Brier")) else heading[0].lower() + heading[1:]


def _overall(name: str, measured: Measurement) -> str:
    rows = []
    for metric, heading in METRIC_NAMES.items():
        interval, value = measured.intervals.get(metric), getattr(measured.segments, metric)
        limits = "" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
        rows.append([_in_line(heading), UNDEFINED if math.isnan(value) else f"{value:.4f}", limits])
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
