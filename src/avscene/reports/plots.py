"""Describe the plots of a report for Plotly, and embed them in HTML.

Colours are written `theme:NAME`; report.js replaces them by the custom property `--NAME` of the page, so that one
description serves the light scheme, the dark scheme and print.
"""

import html
import json

import numpy as np

from avscene.evaluation.calibration import reliability
from avscene.evaluation.metrics import confusion
from avscene.evaluation.risk import risk_coverage
from avscene.figures import Figure, base_layout, escape_markup, heat_map_trace, name_axis, number_axis
from avscene.tables.score_table import ScoreTable

HISTOGRAM_BINS = 20
RISK_POINTS = 200
FEW_POINTS = 20  # a curve with fewer points shows them as markers
CONFUSION_ROW = 36  # pixels
DARK_SHARE = 0.7  # of the color scale; above it the text on a cell is light


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
