"""Tables and figures to one HTML page that needs no network, for readers who did not run the evaluation."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avscene.evaluation.files import write_text
from avscene.evaluation.metrics import Evaluation, confusion, evaluate
from avscene.evaluation.page import captioned, html_page, navigation
from avscene.evaluation.plots import confusion_figure, figure_html, reliability_figure
from avscene.evaluation.score_table import ScoreTable
from avscene.evaluation.timeline import Timeline, timeline_html

__all__ = ["ReportRow", "Timeline", "write_report"]

DECIMALS = 3
NOTHING = "\N{EN DASH}"  # where a figure is undefined
HONEST_WITHIN = 0.01  # mean confidence this near to accuracy is called neither too sure nor too cautious

# Attribute of Evaluation, heading, whether less is better.
FIGURES = (
    ("log_loss", "Log loss", True),
    ("accuracy", "Accuracy", False),
    ("log_loss_class_mean", "Log loss, class mean", True),
    ("accuracy_class_mean", "Accuracy, class mean", False),
    ("expected_calibration_error", "Calibration error", True),
)

MEANINGS = (
    (
        "Log loss",
        "How surprised one is by the truth, given the stated probabilities: minus the natural logarithm of "
        "the probability of the true scene, on average. 0 is perfect; confident mistakes cost most. {blind}",
    ),
    ("Accuracy", "Share of the rows whose most probable scene is the true one. 1 is perfect."),
    ("Class mean", "The same figure for each true scene, then averaged: every scene counts alike."),
    (
        "Calibration error",
        "How far stated confidence is from the share of right answers, averaged over 15 groups of about "
        "equal size (expected calibration error). At 0, what is said with 80 % confidence is right in 80 %.",
    ),
    ("Precision", "Of the rows answered with a scene, the share that truly are that scene."),
    ("Recall", "Of the rows that truly are a scene, the share answered with it."),
    ("F1", "Harmonic mean of precision and recall."),
    ("n", "Number of rows measured: segments, or whole recordings where a table has one row for each."),
)


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One system's figures, and in words what it was `fitted_on` and `measured_on`."""

    name: str
    note: str
    evaluation: Evaluation
    fitted_on: str
    measured_on: str


def write_report(
    path: str | Path,
    *,
    title: str,
    summary: str,
    rows: Sequence[ReportRow],
    tables: Mapping[str, ScoreTable],
    timeline: Timeline | None = None,
) -> None:
    """Write the page to `path`, complete or not at all; the same input gives the same bytes.

    Blank lines in `summary` part paragraphs. Tables without a truth are named but not drawn.

    Raises:
        DataError: the file cannot be written.
    """
    anchors = {name: f"table-{number}" for number, name in enumerate(tables, start=1)}
    scenes = {len(table.labels) for table in tables.values()}
    scenes |= {len(row.evaluation.per_class) for row in rows}
    paragraphs = "".join(f"<p>{html.escape(part)}</p>" for part in summary.split("\n\n") if part.strip())
    body = [
        f"<header><h1>{html.escape(title)}</h1>{paragraphs}{_navigation(anchors, timeline)}</header><main>",
        _results(rows, anchors),
        _meanings(scenes),
        *(_table_section(name, table, anchors[name]) for name, table in tables.items()),
    ]
    if timeline is not None:
        heading = f"Over time: {html.escape(timeline.title)}"
        body.append(f'<section id="timeline"><h2>{heading}</h2>{timeline_html(timeline)}</section>')
    body.append("</main>")
    write_text(path, html_page(title, "\n".join(body)))


def _navigation(anchors: Mapping[str, str], timeline: Timeline | None) -> str:
    targets = {anchor: name for name, anchor in anchors.items()}
    if timeline is not None:
        targets["timeline"] = "Over time"
    return navigation(targets)


def _results(rows: Sequence[ReportRow], anchors: Mapping[str, str]) -> str:
    if not rows:
        return ""
    headings = "".join(f'<th scope="col">{name}<br>{"↓" if less else "↑"}</th>' for _, name, less in FIGURES)
    lines = "".join(_result(row, rows, anchors) for row in rows)
    return (
        '<section><h2>Results</h2><div class="card scroll" role="region" aria-label="Results" tabindex="0">'
        "<table><caption>↓ less is better, ↑ more is better. "
        "Marked: the best among rows measured on the same data.</caption>"
        f'<thead><tr><th scope="col">System</th>{headings}<th scope="col">n</th>'
        '<th scope="col" class="words">Fitted on</th>'
        '<th scope="col" class="words">Measured on</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div></section>"
    )


def _result(row: ReportRow, rows: Sequence[ReportRow], anchors: Mapping[str, str]) -> str:
    name = html.escape(row.name)
    if row.name in anchors:
        name = f'<a href="#{anchors[row.name]}">{name}</a>'
    note = f'<span class="muted">{html.escape(row.note)}</span>' if row.note else ""
    rivals = [other for other in rows if other.measured_on == row.measured_on]
    cells = "".join(_figure_cell(row, rivals, key, less) for key, _, less in FIGURES)
    return (
        f'<tr><th scope="row">{name}{note}</th>{cells}<td>{row.evaluation.n}</td>'
        f'<td class="words">{html.escape(row.fitted_on)}</td>'
        f'<td class="words">{html.escape(row.measured_on)}</td></tr>'
    )


def _figure_cell(row: ReportRow, rivals: Sequence[ReportRow], key: str, less: bool) -> str:
    # compared as printed: two rows that read the same are equally good
    value = round(getattr(row.evaluation, key), DECIMALS)
    values = [round(getattr(rival.evaluation, key), DECIMALS) for rival in rivals]
    if len(rivals) > 1 and value == (min(values) if less else max(values)):
        return f'<td><span class="best">{value:.{DECIMALS}f}</span><span class="hidden"> (best)</span></td>'
    return f"<td>{value:.{DECIMALS}f}</td>"


def _meanings(scenes: set[int]) -> str:
    blind = ", ".join(f"{math.log(count):.2f} for {count} scenes" for count in sorted(scenes))
    blind = f"Spreading the probability evenly costs {blind}." if blind else ""
    items = "".join(f"<dt>{term}</dt><dd>{meaning.format(blind=blind)}</dd>" for term, meaning in MEANINGS)
    return f'<section><h2>What the figures mean</h2><dl class="card">{items}</dl></section>'


def _table_section(name: str, table: ScoreTable, anchor: str) -> str:
    heading = f'<section id="{anchor}"><h2>{html.escape(name)}</h2>'
    if table.truth is None:
        return f"{heading}<p>{len(table)} rows without true scenes: nothing to compare with.</p></section>"
    recordings = len(set(table.filenames))
    extent = f"{recordings} recordings"
    if recordings < len(table):
        extent = f"{len(table)} segments of {extent}"
    mistakes, honesty = _mistakes(table), _honesty(table)
    return (
        f'{heading}<p class="muted">{extent}</p><div class="pair">'
        f"{captioned('Confusion matrix', figure_html(confusion_figure(table), mistakes), mistakes)}"
        f"{captioned('Reliability', figure_html(reliability_figure(table), honesty), honesty)}"
        f"</div>{_per_class(evaluate(table))}</section>"
    )


def _mistakes(table: ScoreTable) -> str:
    counts = confusion(table.truth_index, table.probabilities)
    text = "Rows are true scenes, columns answers; numbers count, colour is the share of the row. "
    wrong = counts - np.diag(counts.diagonal())
    if not wrong.any():
        return text + "No answer was wrong."
    true, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    names = table.labels.names
    return text + (
        f"Most frequent mistake: {names[true]} answered as {names[answer]}, "
        f"{counts[true, answer]} of {counts[true].sum()}."
    )


def _honesty(table: ScoreTable) -> str:
    confidence = float(table.probabilities.max(axis=1).mean())
    correct = float((table.probabilities.argmax(axis=1) == table.truth_index).mean())
    gap = confidence - correct
    verdict = "too sure of itself" if gap > 0 else "too cautious"
    if abs(gap) <= HONEST_WITHIN:
        verdict = "neither too sure nor too cautious"
    return (
        "Each point is a group of rows of similar confidence; on the dotted line confidence can be taken at "
        f"its word. Bars count the rows. Mean confidence {confidence:.3f}, accuracy {correct:.3f}: "
        f"on the whole {verdict}."
    )


def _per_class(evaluation: Evaluation) -> str:
    lines = []
    for scene, figures in evaluation.per_class.items():
        shares = "".join(_share_cell(figures[key]) for key in ("precision", "recall", "f1"))
        lines.append(
            f'<tr><th scope="row">{html.escape(scene)}</th><td>{figures["n"]}</td>{shares}'
            f"<td>{_number(figures['log_loss'])}</td></tr>"
        )
    names = ("n", "Precision", "Recall", "F1", "Log loss")
    headings = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        '<div class="card scroll" role="region" aria-label="Figures per scene" tabindex="0"><table>'
        f"<caption>Figures per scene; {NOTHING} where there is nothing to measure.</caption>"
        f'<thead><tr><th scope="col">Scene</th>{headings}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _share_cell(value: float) -> str:
    if math.isnan(value):
        return f"<td>{NOTHING}</td>"
    return f'<td><span class="share" style="--part:{value:.3f}"></span>{_number(value)}</td>'


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.{DECIMALS}f}"
