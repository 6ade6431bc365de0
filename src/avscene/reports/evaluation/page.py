"""Tables and figures to one HTML page that needs no network, for readers who did not run the evaluation."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avscene.evaluation.comparison import Comparison
from avscene.evaluation.measurement import Measurement
from avscene.files import write_text
from avscene.reports.evaluation.comparison import comparison_sections
from avscene.reports.evaluation.glossary import meanings_html
from avscene.reports.evaluation.system import system_section
from avscene.reports.page import html_page, navigation
from avscene.reports.result_tables import COMPLEMENTARITY, DIFFERENCES
from avscene.reports.timeline import Timeline, timeline_html
from avscene.tables.score_table import ScoreTable

__all__ = ["ReportRow", "Timeline", "write_report"]

DECIMALS = 3
WORDS = {"fitted_on": "Fitted on", "measured_on": "Measured on"}  # attributes of ReportRow

# Attribute of Evaluation, heading, whether less is better.
FIGURES = (
    ("log_loss", "Log loss", True),
    ("accuracy", "Accuracy", False),
    ("log_loss_class_mean", "Log loss, class mean", True),
    ("accuracy_class_mean", "Accuracy, class mean", False),
    ("expected_calibration_error", "Calibration error", True),
    ("brier_score", "Brier score", True),
    ("risk_coverage_area", "Risk-coverage area", True),
)


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One system's figures, and in words what it was `fitted_on` and `measured_on`, or nothing where that is not known.

    With the `table` that they were measured on, the system has a section of its own.
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

    Blank lines in `summary` part paragraphs. Rows of the same `measured_on` are compared with each other.

    Raises:
        DataError: the file cannot be written.
    """
    drawn = [row for row in rows if row.table is not None]
    anchors = {row.name: f"table-{number}" for number, row in enumerate(drawn, start=1)}
    paragraphs = "".join(f"<p>{html.escape(part)}</p>" for part in summary.split("\n\n") if part.strip())
    body = [
        f"<header><h1>{html.escape(title)}</h1>{paragraphs}{_navigation(anchors, comparison, timeline)}</header><main>",
        _results(rows, anchors),
        "" if comparison is None else comparison_sections(comparison),
        meanings_html({len(row.measured.segments.per_class) for row in rows}),
        *(system_section(row.name, row.table, row.measured, anchors[row.name]) for row in drawn if row.table),
    ]
    if timeline is not None:
        heading = f"Over time: {html.escape(timeline.title)}"
        body.append(f'<section id="timeline"><h2>{heading}</h2>{timeline_html(timeline)}</section>')
    body.append("</main>")
    write_text(path, html_page(title, "\n".join(body)))


def _navigation(anchors: Mapping[str, str], comparison: Comparison | None, timeline: Timeline | None) -> str:
    targets = {anchor: name for name, anchor in anchors.items()}
    if comparison is not None:
        targets = {DIFFERENCES: "Differences", COMPLEMENTARITY: "Complementarity"} | targets
    if timeline is not None:
        targets["timeline"] = "Over time"
    return navigation(targets)


def _results(rows: Sequence[ReportRow], anchors: Mapping[str, str]) -> str:
    if not rows:
        return ""
    headings = "".join(f'<th scope="col">{name}<br>{"↓" if less else "↑"}</th>' for _, name, less in FIGURES)
    told = {key: heading for key, heading in WORDS.items() if any(getattr(row, key) for row in rows)}
    words = "".join(f'<th scope="col" class="words">{heading}</th>' for heading in told.values())
    lines = "".join(_result(row, rows, anchors, tuple(told)) for row in rows)
    return (
        '<section><h2>Results</h2><div class="card scroll" role="region" aria-label="Results" tabindex="0">'
        "<table><caption>↓ less is better, ↑ more is better. "
        "Marked: the best among rows measured on the same data. Below a figure: its 95 % interval.</caption>"
        f'<thead><tr><th scope="col">System</th>{headings}<th scope="col">n</th>{words}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div></section>"
    )


def _result(row: ReportRow, rows: Sequence[ReportRow], anchors: Mapping[str, str], told: Sequence[str]) -> str:
    name = html.escape(row.name)
    if row.name in anchors:
        name = f'<a href="#{anchors[row.name]}">{name}</a>'
    note = f'<span class="muted">{html.escape(row.note)}</span>' if row.note else ""
    rivals = [other for other in rows if other.measured_on == row.measured_on]
    words = "".join(f'<td class="words">{html.escape(getattr(row, key))}</td>' for key in told)
    cells = "".join(_figure_cell(row, rivals, key, less) for key, _, less in FIGURES)
    return (
        f'<tr><th scope="row" class="system">{name}{note}</th>{cells}<td>{row.measured.segments.n:,}</td>{words}</tr>'
    )


def _figure_cell(row: ReportRow, rivals: Sequence[ReportRow], key: str, less: bool) -> str:
    # compared as printed: two rows that read the same are equally good
    value = round(getattr(row.measured.segments, key), DECIMALS)
    values = [round(getattr(rival.measured.segments, key), DECIMALS) for rival in rivals]
    interval = row.measured.intervals.get(key)
    below = (
        ""
        if interval is None
        else f'<span class="remark">{interval.low:.{DECIMALS}f} to {interval.high:.{DECIMALS}f}</span>'
    )
    if len(rivals) > 1 and value == (min(values) if less else max(values)):
        return f'<td><span class="best">{value:.{DECIMALS}f}</span><span class="hidden"> (best)</span>{below}</td>'
    return f"<td>{value:.{DECIMALS}f}{below}</td>"
