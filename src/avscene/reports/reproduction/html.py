"""A reproduction to one HTML page that needs no network, for readers who did not run it."""

import html

from avscene.reports.page import captioned, html_page, navigation, section_html
from avscene.reports.plots import Figure, figure_html, learning_curve_figure
from avscene.reports.reproduction.plots import city_figure, comparison_figure, scene_figure
from avscene.reports.reproduction.rows import INTRODUCTION, Reproduction
from avscene.reports.reproduction.tables import MEANINGS, tables
from avscene.reports.text_table import NOTHING


def to_html(reproduction: Reproduction) -> str:
    """The whole page; what it warns of stands before any figure, and large."""
    sections = tables(reproduction)
    warnings = "".join(f'<p class="warning" role="note">{html.escape(text)}</p>' for text in reproduction.warnings)
    links = navigation({section.anchor: section.heading for section in sections})
    drawn = _figures(reproduction)
    body = [
        f"<header><h1>{html.escape(reproduction.heading)}</h1>{warnings}"
        f"<p>{html.escape(INTRODUCTION)}</p><p>{html.escape(reproduction.extent)}</p>{links}</header><main>",
        *(section_html(section, drawn.get(section.anchor, "")) for section in sections),
        _meanings(),
        _sources(reproduction),
        "</main>",
    ]
    return html_page(reproduction.heading, "\n".join(body))


def _figures(reproduction: Reproduction) -> dict[str, str]:
    """The drawn figures of the sections that have any, by anchor."""
    drawn = {"results": _comparison(reproduction)}
    if reproduction.measured:
        caption = "Share of the segments of each scene that were answered with it, in per cent."
        drawn["scene-accuracy"] = _figure("Systems by scenes", scene_figure(reproduction), caption)
    if reproduction.cities:
        caption = "Share of the segments recorded in each city that were answered rightly, in per cent."
        drawn["city-accuracy"] = _figure("Systems by cities", city_figure(reproduction), caption)
    curves = [
        _figure(
            f"{row.index}: {row.title}",
            learning_curve_figure(row.history),
            f"Losses of {row.index} by epoch of training. The dot marks the epoch whose weights were kept.",
        )
        for row in reproduction.rows
        if row.best_epoch is not None
    ]
    drawn["training"] = f'<div class="curves">{"".join(curves)}</div>'
    return drawn


def _comparison(reproduction: Reproduction) -> str:
    caption = "Diamonds: published. Dots: measured, with their 95 % intervals where places are known. {better}"
    if not reproduction.comparable:
        caption = "Not comparable: see above. " + caption
    pair = (
        _figure(title, comparison_figure(reproduction, key), caption.format(better=better))
        for title, key, better in (
            ("Log loss", "log_loss", "Less is better."),
            ("Accuracy", "accuracy", "More is better."),
        )
    )
    return f'<div class="pair even">{"".join(pair)}</div>'


def _figure(heading: str, figure: Figure, caption: str) -> str:
    return captioned(heading, figure_html(figure, f"{heading}. {caption}"), caption)


def _meanings() -> str:
    items = "".join(f"<dt>{term}</dt><dd>{html.escape(meaning)}</dd>" for term, meaning in MEANINGS)
    items += f"<dt>{NOTHING}</dt><dd>There is nothing to measure, or nothing was published.</dd>"
    return f'<section><h2>What the figures mean</h2><dl class="card">{items}</dl></section>'


def _sources(reproduction: Reproduction) -> str:
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in reproduction.notes)
    return f"<section><h2>Where they come from</h2>{notes}</section>"
