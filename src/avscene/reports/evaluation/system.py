"""Render one system as a section of a report: confusion, calibration, risk, and metrics by scene and by city."""

import html

import numpy as np

from avscene.evaluation.measurement import Measurement
from avscene.evaluation.metrics import confusion
from avscene.evaluation.risk import risk_coverage
from avscene.figures import Figure
from avscene.reports.page import captioned_figure, table_html
from avscene.reports.plots import confusion_figure, figure_html, reliability_figure, risk_figure
from avscene.reports.result_tables import scene_table, subset_tables, unseen_table
from avscene.reports.text_table import TextTable
from avscene.tables.score_table import ScoreTable

CALIBRATION_TOLERANCE = 0.01  # largest |mean confidence - accuracy| that is not called over- or underconfident


def system_section(name: str, table: ScoreTable, measured: Measurement, anchor: str) -> str:
    """Return the `section` element of the system `name`; `anchor` is its id."""
    tables = (scene_table(measured), *subset_tables(measured), unseen_table(measured.unseen))
    return (
        f'<section id="{anchor}"><h2>{html.escape(name)}</h2><p class="muted">{_extent(table, measured)}.</p>'
        f"{_figure('Confusion matrix', confusion_figure(table), _confusion_caption(table))}"
        f"{'' if table.labels_only else _confidence_figures(table)}"
        f"{''.join(_subsection(table) for table in tables if table.rows)}</section>"
    )


def _confidence_figures(table: ScoreTable) -> str:
    return (
        f'<div class="pair even">'
        f"{_figure('Reliability', reliability_figure(table), _reliability_caption(table))}"
        f"{_figure('Risk and coverage', risk_figure(table), _risk_caption(table))}</div>"
    )


def _extent(table: ScoreTable, measured: Measurement) -> str:
    """Describe how much was measured, and why there are no intervals."""
    recordings = len(set(table.filenames))
    extent = f"{recordings:,} recordings"
    if recordings < len(table):
        extent = f"{len(table):,} segments of {extent}"
    if measured.groups:
        extent += f" in {measured.groups:,} groups"
    if measured.why_no_intervals:
        extent += f". No intervals: {measured.why_no_intervals}"
    if table.labels_only:
        extent += ". Predicted scenes without probabilities: no log loss, ECE, Brier score and AURC"
    return extent


def _figure(heading: str, figure: Figure, caption: str) -> str:
    return captioned_figure(heading, figure_html(figure, caption), caption)


def _subsection(table: TextTable) -> str:
    caption = f"<p>{html.escape(table.caption)}</p>" if table.caption else ""
    return f"<h3>{html.escape(table.heading)}</h3>{caption}{table_html(table)}"


def _confusion_caption(table: ScoreTable) -> str:
    counts = confusion(table.truth_index, table.probabilities)
    text = "Rows: true scenes. Columns: predicted scenes. Numbers: counts. Colours: shares of the row. "
    errors = counts - np.diag(counts.diagonal())
    if not errors.any():
        return text + "No prediction was wrong."
    true, predicted = np.unravel_index(errors.argmax(), errors.shape)
    names = table.labels.names
    return text + (
        f"Most frequent error: {names[true]} predicted as {names[predicted]}, "
        f"{counts[true, predicted]} of {counts[true].sum()}."
    )


def _reliability_caption(table: ScoreTable) -> str:
    confidence = float(table.probabilities.max(axis=1).mean())
    accuracy = float((table.probabilities.argmax(axis=1) == table.truth_index).mean())
    gap = confidence - accuracy
    verdict = "overconfident" if gap > 0 else "underconfident"
    if abs(gap) <= CALIBRATION_TOLERANCE:
        verdict = "neither over- nor underconfident"
    return (
        "Each point is a bin of rows of similar confidence; on the dotted line, accuracy equals confidence. "
        f"Bars: number of rows. Mean confidence {confidence:.3f}, accuracy {accuracy:.3f}: on average {verdict}."
    )


def _risk_caption(table: ScoreTable) -> str:
    points = risk_coverage(table.truth_index, table.probabilities)
    half = int(np.searchsorted(points.coverage, 0.5))
    text = (
        "Share of errors (risk) if only the most confident rows are accepted. Dotted: the risk of accepting all rows. "
    )
    if half == len(points.coverage) - 1:
        return text + "Most rows have the same confidence, so no threshold accepts about half of them."
    return text + (
        f"Of the most confident {points.coverage[half]:.0%} (confidence at least {points.threshold[half]:.3f}), "
        f"{points.risk[half]:.1%} are wrong; of all rows, {points.risk[-1]:.1%}."
    )
