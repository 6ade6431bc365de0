"""One system's table and figures in, its section of a report out: confusion, calibration, risk, scenes, cities."""

import html

import numpy as np

from avscene.evaluation.measurement import Measurement
from avscene.evaluation.metrics import confusion
from avscene.evaluation.risk import risk_coverage
from avscene.reports.page import captioned, table_html
from avscene.reports.plots import Figure, confusion_figure, figure_html, reliability_figure, risk_figure
from avscene.reports.result_tables import city_table, scene_table, unseen_table
from avscene.reports.text_table import TextTable
from avscene.tables.score_table import ScoreTable

HONEST_WITHIN = 0.01  # mean confidence this near to accuracy is called neither too sure nor too cautious


def system_section(name: str, table: ScoreTable, measured: Measurement, anchor: str) -> str:
    """The `section` element of the system `name`; `anchor` is its id."""
    recordings = len(set(table.filenames))
    extent = f"{recordings:,} recordings"
    if recordings < len(table):
        extent = f"{len(table):,} segments of {extent}"
    if measured.groups:
        extent += f" in {measured.groups:,} groups"
    if measured.why_no_intervals:
        extent += f". No intervals: {measured.why_no_intervals}"
    tables = (scene_table(measured), city_table(measured), unseen_table(measured.unseen))
    return (
        f'<section id="{anchor}"><h2>{html.escape(name)}</h2><p class="muted">{extent}.</p>'
        f"{_drawn('Confusion matrix', confusion_figure(table), _mistakes(table))}"
        f'<div class="pair even">{_drawn("Reliability", reliability_figure(table), _honesty(table))}'
        f"{_drawn('Risk against coverage', risk_figure(table), _risk(table))}</div>"
        f"{''.join(_part(table) for table in tables if table.rows)}</section>"
    )


def _drawn(heading: str, figure: Figure, says: str) -> str:
    return captioned(heading, figure_html(figure, says), says)


def _part(table: TextTable) -> str:
    says = f"<p>{html.escape(table.says)}</p>" if table.says else ""
    return f"<h3>{html.escape(table.heading)}</h3>{says}{table_html(table)}"


def _risk(table: ScoreTable) -> str:
    found = risk_coverage(table.truth_index, table.probabilities)
    half = int(np.searchsorted(found.coverage, 0.5))
    text = "How often answers are wrong if only the surest rows are answered. Dotted: the risk of answering all. "
    if half == len(found.coverage) - 1:
        return text + "Most rows are equally sure: there is no half of them that is surer than the rest."
    return text + (
        f"Of the surest {found.coverage[half]:.0%} (confidence at least {found.threshold[half]:.3f}), "
        f"{found.risk[half]:.1%} are wrong; of all, {found.risk[-1]:.1%}."
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
