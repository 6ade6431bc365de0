"""Write metrics and plots of systems, and their comparison, as one HTML page that needs no network."""

import html
import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from avscene.evaluation.comparison import Comparison
from avscene.evaluation.measurement import Measurement
from avscene.evaluation.metrics import METRIC_NAMES
from avscene.files import write_text
from avscene.reports.evaluation.comparison import comparison_sections
from avscene.reports.evaluation.system import system_section
from avscene.reports.glossary import DEFINITIONS, glossary_html
from avscene.reports.page import html_page, navigation_html
from avscene.reports.result_tables import COMPLEMENTARITY, DIFFERENCES
from avscene.reports.text_table import UNDEFINED
from avscene.reports.timeline import Timeline, timeline_html
from avscene.tables.score_table import ScoreTable

DECIMALS = 3
TEXT_COLUMNS = {"fitted_on": "Fitted on", "measured_on": "Measured on"}  # attribute of ReportRow: heading

HIGHER_IS_BETTER = ("accuracy", "accuracy_macro")  # of METRIC_NAMES


@dataclass(frozen=True, slots=True)
class ReportRow:
    """Metrics of one system; `fitted_on` and `measured_on` describe the data in words, and are empty if unknown.

    With the `table` of predictions, the system has a section of its own.
    """

    name: str
    note: str
    measured: Measurement
    fitted_on: str
    measured_on: str
    table: ScoreTable | None = None


def write_report(
    path: str | Path,
    *,
    title: str,
    summary: str,
    rows: Sequence[ReportRow],
    comparison: Comparison | None = None,
    timeline: Timeline | None = None,
) -> None:
    """Write the page to `path`, complete or not at all; the same input gives the same bytes.

    Blank lines in `summary` separate paragraphs. The best values are marked among rows of the same `measured_on`.

    Raises:
        DataError: the file cannot be written.
    """
    anchors = {
        row.name: f"table-{number}"
        for number, row in enumerate((row for row in rows if row.table is not None), start=1)
    }
    paragraphs = "".join(f"<p>{html.escape(part)}</p>" for part in summary.split("\n\n") if part.strip())
    links = _navigation(anchors, comparison, timeline)
    body = [
        f"<header><h1>{html.escape(title)}</h1>{paragraphs}{links}</header><main>",
        _results_section(rows, anchors),
        "" if comparison is None else comparison_sections(comparison),
        _glossary_section({len(row.measured.segments.per_class) for row in rows}),
        *(
            system_section(row.name, row.table, row.measured, anchors[row.name])
            for row in rows
            if row.table is not None
        ),
        "" if timeline is None else _timeline_section(timeline),
        "</main>",
    ]
    write_text(path, html_page(title, "\n".join(part for part in body if part)))


def _navigation(anchors: Mapping[str, str], comparison: Comparison | None, timeline: Timeline | None) -> str:
    names = {anchor: name for name, anchor in anchors.items()}
    if comparison is not None:
        names = {DIFFERENCES: "Differences", COMPLEMENTARITY: "Complementarity"} | names
    if timeline is not None:
        names["timeline"] = "Over time"
    return navigation_html(names)


def _timeline_section(timeline: Timeline) -> str:
    heading = f"Over time: {html.escape(timeline.title)}"
    return f'<section id="timeline"><h2>{heading}</h2>{timeline_html(timeline)}</section>'


def _glossary_section(scene_counts: AbstractSet[int]) -> str:
    """Return the definitions, with the log loss of the uniform distribution over each number of scenes."""
    uniform = ", ".join(f"{math.log(count):.2f} for {count} scenes" for count in sorted(scene_counts))
    log_loss = DEFINITIONS["Log loss"] + (f" Uniform probabilities give {uniform}." if uniform else "")
    return glossary_html({**DEFINITIONS, "Log loss": log_loss})


def _results_section(rows: Sequence[ReportRow], anchors: Mapping[str, str]) -> str:
    if not rows:
        return ""
    metrics = "".join(
        f'<th scope="col">{heading}<br>{"↑" if metric in HIGHER_IS_BETTER else "↓"}</th>'
        for metric, heading in METRIC_NAMES.items()
    )
    texts = {key: heading for key, heading in TEXT_COLUMNS.items() if any(getattr(row, key) for row in rows)}
    text_headings = "".join(f'<th scope="col" class="text">{heading}</th>' for heading in texts.values())
    lines = "".join(_result_row(row, rows, anchors, tuple(texts)) for row in rows)
    return (
        '<section><h2>Results</h2><div class="card scroll" role="region" aria-label="Results" tabindex="0">'
        "<table><caption>↓ lower is better, ↑ higher is better. Marked: the best among rows measured on the same data. "
        "Below a metric: its 95 % bootstrap interval over groups.</caption>"
        f'<thead><tr><th scope="col">System</th>{metrics}<th scope="col">n</th>{text_headings}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div></section>"
    )


def _result_row(row: ReportRow, rows: Sequence[ReportRow], anchors: Mapping[str, str], texts: Sequence[str]) -> str:
    name = html.escape(row.name)
    if row.name in anchors:
        name = f'<a href="#{anchors[row.name]}">{name}</a>'
    note = f'<span class="muted">{html.escape(row.note)}</span>' if row.note else ""
    comparable = [other for other in rows if other.measured_on == row.measured_on]
    metric_cells = "".join(_metric_cell(row, comparable, metric) for metric in METRIC_NAMES)
    text_cells = "".join(f'<td class="text">{html.escape(getattr(row, key))}</td>' for key in texts)
    return (
        f'<tr><th scope="row" class="system">{name}{note}</th>{metric_cells}'
        f"<td>{row.measured.segments.n:,}</td>{text_cells}</tr>"
    )


def _metric_cell(row: ReportRow, comparable: Sequence[ReportRow], key: str) -> str:
    # Values are compared as printed: rows that look the same are equally good.
    value = round(getattr(row.measured.segments, key), DECIMALS)
    if math.isnan(value):
        return f"<td>{UNDEFINED}</td>"
    others = [round(getattr(other.measured.segments, key), DECIMALS) for other in comparable]
    values = [other for other in others if not math.isnan(other)]
    text, remark, interval = f"{value:.{DECIMALS}f}", "", row.measured.intervals.get(key)
    if interval is not None:
        remark = f'<span class="remark">{interval.low:.{DECIMALS}f} to {interval.high:.{DECIMALS}f}</span>'
    if len(comparable) > 1 and value == (max(values) if key in HIGHER_IS_BETTER else min(values)):
        text = f'<span class="best">{text}</span><span class="hidden"> (best)</span>'
    return f"<td>{text}{remark}</td>"
