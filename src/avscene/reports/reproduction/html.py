"""Render a reproduction as one HTML page that needs no network."""

import html

from avscene.figures import Figure
from avscene.reports.glossary import glossary_html
from avscene.reports.page import captioned_figure, html_page, navigation_html, section_html
from avscene.reports.plots import figure_html
from avscene.reports.reproduction.plots import city_figure, comparison_figure, learning_curve_figure, scene_figure
from avscene.reports.reproduction.rows import INTRODUCTION, Reproduction, best_epoch
from avscene.reports.reproduction.tables import GLOSSARY, reproduction_tables
from avscene.reports.text_table import UNDEFINED


def reproduction_html(reproduction: Reproduction) -> str:
    """Return the complete page; warnings come before all metrics, in large type."""
    tables = reproduction_tables(reproduction)
    warnings = "".join(f'<p class="warning" role="note">{html.escape(text)}</p>' for text in reproduction.warnings)
    links = navigation_html({table.anchor: table.heading for table in tables})
    figures = _figures_by_anchor(reproduction)
    body = [
        f"<header><h1>{html.escape(reproduction.heading)}</h1>{warnings}"
        f"<p>{html.escape(INTRODUCTION)}</p><p>{html.escape(reproduction.extent)}</p>{links}</header><main>",
        *(section_html(table, figures.get(table.anchor, "")) for table in tables),
        glossary_html({**GLOSSARY, UNDEFINED: "Not measured, not defined or not published."}),
        _sources_section(reproduction),
        "</main>",
    ]
    return html_page(reproduction.heading, "\n".join(body))


def _figures_by_anchor(reproduction: Reproduction) -> dict[str, str]:
    """Return the figures above the table of each section that has any."""
    figures = {"results": _comparison_figures(reproduction), "training": _learning_curves(reproduction)}
    if reproduction.measured:
        caption = "Share of the segments of each scene that were predicted as it (recall), in per cent."
        figures["scene-accuracy"] = _figure("Systems by scenes", scene_figure(reproduction), caption)
    if reproduction.cities:
        caption = "Share of the segments of each city that were predicted correctly (accuracy), in per cent."
        figures["city-accuracy"] = _figure("Systems by cities", city_figure(reproduction), caption)
    return figures


def _comparison_figures(reproduction: Reproduction) -> str:
    caption = (
        "Diamonds: published. Dots: measured, with 95 % bootstrap intervals over groups if groups are known. {better}"
    )
    if not reproduction.comparable:
        caption = "Not comparable, see the top of the page. " + caption
    figures = (
        _figure(title, comparison_figure(reproduction, metric), caption.format(better=better))
        for title, metric, better in (
            ("Log loss", "log_loss", "Lower is better."),
            ("Accuracy", "accuracy", "Higher is better."),
        )
    )
    return f'<div class="pair even">{"".join(figures)}</div>'


def _learning_curves(reproduction: Reproduction) -> str:
    figures = [
        _figure(
            f"{row.index}: {row.title}",
            learning_curve_figure(row.history),
            f"Losses of {row.index} by epoch. The dot is the best epoch, whose weights are used.",
        )
        for row in reproduction.rows
        if best_epoch(row.history) is not None
    ]
    return f'<div class="curves">{"".join(figures)}</div>'


def _figure(heading: str, figure: Figure, caption: str) -> str:
    return captioned_figure(heading, figure_html(figure, f"{heading}. {caption}"), caption)


def _sources_section(reproduction: Reproduction) -> str:
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in reproduction.notes)
    return f"<section><h2>Sources</h2>{notes}</section>"
