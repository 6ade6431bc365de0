"""Describe the plots of a report for Plotly, and embed them in HTML.

Colours are written `theme:NAME`; report.js replaces them by the custom property `--NAME` of the page, so that one
description serves the light scheme, the dark scheme and print. Scenes are placed by number and named by tick texts:
otherwise a scene called `2024-01-01` would make an axis of dates.
"""

import html
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from avscene.evaluation.calibration import reliability
from avscene.evaluation.metrics import confusion
from avscene.evaluation.risk import risk_coverage
from avscene.records import FloatArray
from avscene.tables.score_table import ScoreTable

Figure = dict[str, Any]  # {"data": [...], "layout": {...}} as in Plotly's JSON schema

MAX_TICK_LENGTH = 17  # characters of a name beside an axis; the hover text has the full name
HISTOGRAM_BINS = 20
RISK_POINTS = 200
FEW_POINTS = 20  # a curve with fewer points shows them as markers
CONFUSION_ROW = 36  # pixels
DARK_SHARE = 0.7  # of the color scale; above it the text on a cell is light
TIMELINE_ROW = 22  # pixels
COLOR_SCALE = [[0, "theme:surface"], [0.5, "theme:accent-soft"], [1, "theme:accent"]]


def figure_html(figure: Figure, description: str) -> str:
    """Return the element that report.js draws `figure` into, with the figure as escaped JSON; `description` is text."""
    payload = json.dumps(figure, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        payload = payload.replace(character, f"\\u{ord(character):04x}")
    height = figure["layout"]["height"]
    return (
        f'<div class="plot" role="img" aria-label="{html.escape(description)}" style="height:{height}px">'
        f'<script type="application/json">{payload}</script></div>'
    )


def confusion_figure(table: ScoreTable) -> Figure:
    """Return a heat map of the confusion matrix: colours are shares of the row, texts are counts."""
    counts = confusion(table.truth_index, table.probabilities)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [escape_markup(name) for name in table.labels]
    hover = [
        [
            f"true: {true}<br>predicted: {predicted}<br>{counts[i, j]} of {counts[i].sum()} ({shares[i, j]:.1%})"
            for j, predicted in enumerate(names)
        ]
        for i, true in enumerate(names)
    ]
    heat = heat_map_trace(np.round(shares, 4).tolist(), hover) | {"xgap": 1, "ygap": 1}
    rows, columns = np.nonzero(counts)
    dark = shares[rows, columns] > DARK_SHARE
    numbers = {
        "mode": "text",
        "x": columns.tolist(),
        "y": rows.tolist(),
        "text": [str(count) for count in counts[rows, columns]],
        "textfont": {"size": 11, "color": ["theme:on-accent" if cell else "theme:ink" for cell in dark]},
        "hoverinfo": "skip",
    }
    layout = base_layout(height=124 + CONFUSION_ROW * len(names), names_on_left=True)
    layout["margin"] |= {"b": 116}
    layout["xaxis"] |= name_axis(table.labels.names) | {
        "tickangle": -45,
        "title": {"text": "predicted scene", "standoff": 4},
    }
    layout["yaxis"] |= name_axis(table.labels.names) | {"autorange": "reversed"}
    return {"data": [heat, numbers], "layout": layout}


def reliability_figure(table: ScoreTable) -> Figure:
    """Return the reliability diagram, with the diagonal of perfect calibration, above a histogram of confidences."""
    bins = reliability(table.truth_index, table.probabilities)
    confidence = table.probabilities.max(axis=1)
    counts, edges = np.histogram(confidence, bins=HISTOGRAM_BINS, range=(0, 1))
    diagonal = {
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "line": {"color": "theme:muted", "dash": "dot", "width": 1},
        "hoverinfo": "skip",
    }
    curve = {
        "x": np.round(bins.confidence, 4).tolist(),
        "y": np.round(bins.accuracy, 4).tolist(),
        "customdata": bins.count.tolist(),
        "mode": "lines+markers",
        "line": {"color": "theme:accent", "width": 2},
        "marker": {"size": 7, "color": "theme:accent"},
        "hovertemplate": "confidence %{x:.3f}<br>accuracy %{y:.3f}<br>%{customdata} rows<extra></extra>",
    }
    histogram = {
        "type": "bar",
        "x": ((edges[:-1] + edges[1:]) / 2).round(4).tolist(),
        "y": counts.tolist(),
        "width": 0.9 / HISTOGRAM_BINS,
        "yaxis": "y2",
        "marker": {"color": "theme:accent-soft"},
        "hovertemplate": "confidence about %{x:.2f}<br>%{y} rows<extra></extra>",
    }
    layout = base_layout(height=440)
    layout["margin"] |= {"l": 52, "t": 8, "b": 48}
    layout["xaxis"] |= {"range": [0, 1], "title": {"text": "confidence"}, "anchor": "y2"}
    layout["yaxis"] |= {"range": [0, 1.02], "title": {"text": "accuracy"}, "domain": [0.34, 1]}
    layout["yaxis2"] = number_axis() | {"title": {"text": "rows"}, "domain": [0, 0.26], "nticks": 4}
    return {"data": [diagonal, curve, histogram], "layout": layout}


def risk_figure(table: ScoreTable) -> Figure:
    """Return the risk-coverage curve, with a line at the risk of accepting all rows."""
    points = risk_coverage(table.truth_index, table.probabilities).thinned(RISK_POINTS)
    full_risk = float(points.risk[-1])
    level = {
        "x": [0, 1],
        "y": [full_risk] * 2,
        "mode": "lines",
        "line": {"color": "theme:muted", "dash": "dot", "width": 1},
        "hoverinfo": "skip",
    }
    curve = {
        "x": np.round(points.coverage, 4).tolist(),
        "y": np.round(points.risk, 4).tolist(),
        "customdata": np.round(points.threshold, 4).tolist(),
        "mode": "lines+markers" if len(points.risk) < FEW_POINTS else "lines",
        "line": {"color": "theme:accent", "width": 2},
        "hovertemplate": "coverage %{x:.3f}<br>risk %{y:.3f}<br>confidence at least %{customdata:.3f}<extra></extra>",
    }
    layout = base_layout(height=440)
    layout["margin"] |= {"l": 60, "t": 8, "b": 48}
    layout["xaxis"] |= {"range": [0, 1], "title": {"text": "coverage"}}
    layout["yaxis"] |= {"rangemode": "tozero", "title": {"text": "risk"}}
    return {"data": [level, curve], "layout": layout}


def timeline_figure(names: Sequence[str], edges: FloatArray, probabilities: FloatArray) -> Figure:
    """Return a heat map of the probability of each scene over time.

    Args:
        names: the scenes.
        edges: (columns + 1,) times in seconds.
        probabilities: (columns, n_scenes) between two edges each; columns of NaN stay blank.
    """
    blank = np.isnan(probabilities)
    values = np.where(blank, -1, probabilities).round(4).T.tolist()
    hover = [
        [f"{escape_markup(name)}: {value:.3f}<br>{edges[j]:g} to {edges[j + 1]:g} s" for j, value in enumerate(row)]
        for name, row in zip(names, values, strict=True)
    ]
    trace = heat_map_trace([[None if value < 0 else value for value in row] for row in values], hover)
    trace |= {"x": edges.round(4).tolist(), "ygap": 1, "hoverongaps": False}
    layout = base_layout(height=52 + TIMELINE_ROW * len(names), names_on_left=True)
    layout["margin"] |= {"t": 4, "b": 44}
    layout["xaxis"] |= {"range": [edges[0], edges[-1]], "title": {"text": "seconds"}, "showgrid": False}
    layout["yaxis"] |= name_axis(names) | {"autorange": "reversed"}
    return {"data": [trace], "layout": layout}


def heat_map_trace(values: list[list[Any]], hover: list[list[str]]) -> Figure:
    """Return a heat map of `values` (rows, columns) from 0 to 1, None for a blank cell; `hover` texts are markup."""
    return {
        "type": "heatmap",
        "z": values,
        "zmin": 0,
        "zmax": 1,
        "colorscale": COLOR_SCALE,
        "showscale": False,
        "hovertext": hover,
        "hoverinfo": "text",
    }


def base_layout(height: int, *, names_on_left: bool = False) -> Figure:
    """Return the layout that all figures share; `height` is in pixels.

    With `names_on_left`, report.js sets the left margin to the width of the names.
    """
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "meta": {"namesOnLeft": names_on_left},
        "showlegend": False,
        "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "theme:ink"},
        "hoverlabel": {"bgcolor": "theme:surface", "bordercolor": "theme:muted"},
        "xaxis": number_axis(),
        "yaxis": number_axis(),
    }


def number_axis() -> Figure:
    """Return an axis of numbers."""
    return {"gridcolor": "theme:line", "zeroline": False, "fixedrange": True, "ticks": ""}


def name_axis(names: Sequence[str]) -> Figure:
    """Return an axis with the k-th name, shortened to fit, at k."""
    short = [name if len(name) <= MAX_TICK_LENGTH else name[: MAX_TICK_LENGTH - 1] + "…" for name in names]
    return {
        "type": "linear",
        "tickvals": list(range(len(names))),
        "ticktext": [escape_markup(name) for name in short],
        "showgrid": False,
        "ticks": "outside",
        "ticklen": 5,
        "tickcolor": "rgba(0,0,0,0)",  # transparent ticks: space between names and cells
    }


def escape_markup(text: str) -> str:
    """Escape `text` for Plotly, which renders some HTML in its texts."""
    return html.escape(text, quote=False)
