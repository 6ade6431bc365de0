"""Figures of a report as plain Plotly descriptions, their HTML, and the parts that other figures are made of.

Colours are written `theme:NAME` and resolved in the page from the custom property `--NAME`, so that one
description serves the light and the dark scheme and paper. Scenes are placed by number and named by tick
texts: a scene called `2024-01-01` must not turn an axis into dates, nor one called `<b>` into markup.
"""

import html
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avscene.evaluation.metrics import confusion, reliability
from avscene.evaluation.risk import risk_coverage
from avscene.records import FloatArray
from avscene.tables.score_table import ScoreTable

Figure = dict[str, Any]  # {"data": [...], "layout": {...}} as in Plotly's JSON schema

LONGEST_TICK = 17  # characters of a scene's name beside an axis; the hover text has all of it
HISTOGRAM_BINS = 20
RISK_POINTS = 200
FEW_POINTS = 20  # a curve of fewer is drawn with its points
CONFUSION_ROW = 36  # pixels
DARK_SHARE = 0.7  # of SCALE, from where numbers on it are written in the other colour
TIMELINE_ROW = 22  # pixels
CURVE_HEIGHT = 280  # pixels
KEPT_BY = "valid_log_loss"  # of a training history: the epoch of its least value is kept
SCALE = [[0, "theme:surface"], [0.5, "theme:accent-soft"], [1, "theme:accent"]]


def figure_html(figure: Figure, description: str) -> str:
    """The figure's place in the page and its description as JSON, which no text in it can end or escape."""
    payload = json.dumps(figure, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        payload = payload.replace(character, f"\\u{ord(character):04x}")
    height = figure["layout"]["height"]
    return (
        f'<div class="plot" role="img" aria-label="{html.escape(description)}" style="height:{height}px">'
        f'<script type="application/json">{payload}</script></div>'
    )


def confusion_figure(table: ScoreTable) -> Figure:
    """Heat map of the confusion matrix: coloured by share of the row, counts as text and on hover."""
    counts = confusion(table.truth_index, table.probabilities)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [inert(name) for name in table.labels]
    hover = [
        [
            f"true: {true}<br>answer: {answer}<br>{counts[i, j]} of {counts[i].sum()} ({shares[i, j]:.1%})"
            for j, answer in enumerate(names)
        ]
        for i, true in enumerate(names)
    ]
    heat = heat_map(np.round(shares, 4).tolist(), hover) | {"xgap": 1, "ygap": 1}
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
    layout = base_layout(height=124 + CONFUSION_ROW * len(names), left_of_names=True)
    layout["margin"] |= {"b": 116}
    layout["xaxis"] |= name_axis(table.labels.names) | {
        "tickangle": -45,
        "title": {"text": "answer", "standoff": 4},
    }
    layout["yaxis"] |= name_axis(table.labels.names) | {"autorange": "reversed"}
    return {"data": [heat, numbers], "layout": layout}


def reliability_figure(table: ScoreTable) -> Figure:
    """Accuracy against confidence with the line of honest confidence, above the histogram of confidences."""
    found = reliability(table.truth_index, table.probabilities)
    confidence = table.probabilities.max(axis=1)
    counts, edges = np.histogram(confidence, bins=HISTOGRAM_BINS, range=(0, 1))
    honest = {
        "x": [0, 1],
        "y": [0, 1],
        "mode": "lines",
        "line": {"color": "theme:muted", "dash": "dot", "width": 1},
        "hoverinfo": "skip",
    }
    curve = {
        "x": np.round(found.confidence, 4).tolist(),
        "y": np.round(found.accuracy, 4).tolist(),
        "customdata": found.count.tolist(),
        "mode": "lines+markers",
        "line": {"color": "theme:accent", "width": 2},
        "marker": {"size": 7, "color": "theme:accent"},
        "hovertemplate": "confidence %{x:.3f}<br>accuracy %{y:.3f}<br>%{customdata} rows<extra></extra>",
    }
    bars = {
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
    layout["yaxis2"] = plain_axis() | {"title": {"text": "rows"}, "domain": [0, 0.26], "nticks": 4}
    return {"data": [honest, curve, bars], "layout": layout}


def risk_figure(table: ScoreTable) -> Figure:
    """Risk against coverage, above the level of answering everything."""
    found = risk_coverage(table.truth_index, table.probabilities).thinned(RISK_POINTS)
    everything = float(found.risk[-1])
    level = {
        "x": [0, 1],
        "y": [everything] * 2,
        "mode": "lines",
        "line": {"color": "theme:muted", "dash": "dot", "width": 1},
        "hoverinfo": "skip",
    }
    curve = {
        "x": np.round(found.coverage, 4).tolist(),
        "y": np.round(found.risk, 4).tolist(),
        "customdata": np.round(found.threshold, 4).tolist(),
        "mode": "lines+markers" if len(found.risk) < FEW_POINTS else "lines",
        "line": {"color": "theme:accent", "width": 2},
        "hovertemplate": "coverage %{x:.3f}<br>risk %{y:.3f}<br>confidence at least %{customdata:.3f}<extra></extra>",
    }
    layout = base_layout(height=440)
    layout["margin"] |= {"l": 60, "t": 8, "b": 48}
    layout["xaxis"] |= {"range": [0, 1], "title": {"text": "coverage"}}
    layout["yaxis"] |= {"rangemode": "tozero", "title": {"text": "risk"}}
    return {"data": [level, curve], "layout": layout}


def strip_figure(names: Sequence[str], edges: FloatArray, probabilities: FloatArray) -> Figure:
    """Heat strip of probabilities (columns, n_scenes) between times `edges` (columns + 1,) in seconds.

    Columns of NaN are left blank.
    """
    blank = np.isnan(probabilities)
    values = np.where(blank, -1, probabilities).round(4).T.tolist()
    hover = [
        [f"{inert(name)}: {value:.3f}<br>{edges[j]:g} to {edges[j + 1]:g} s" for j, value in enumerate(row)]
        for name, row in zip(names, values, strict=True)
    ]
    trace = heat_map([[None if value < 0 else value for value in row] for row in values], hover)
    trace |= {"x": edges.round(4).tolist(), "ygap": 1, "hoverongaps": False}
    layout = base_layout(height=52 + TIMELINE_ROW * len(names), left_of_names=True)
    layout["margin"] |= {"t": 4, "b": 44}
    layout["xaxis"] |= {"range": [edges[0], edges[-1]], "title": {"text": "seconds"}, "showgrid": False}
    layout["yaxis"] |= name_axis(names) | {"autorange": "reversed"}
    return {"data": [trace], "layout": layout}


def learning_curve_figure(history: Sequence[Mapping[str, float]]) -> Figure:
    """Every figure of `history` that is called a loss, over its `epoch`; the least `valid_log_loss` is marked.

    Epochs without a finite value leave a gap.
    """
    names = [name for name in dict.fromkeys(key for entry in history for key in entry) if name.endswith("loss")]
    traces = [_curve(history, name) for name in names]
    judged = [entry for entry in history if math.isfinite(entry.get(KEPT_BY, math.nan))]
    if judged:
        least = min(judged, key=lambda entry: entry[KEPT_BY])
        dot = {"mode": "markers", "marker": {"size": 9, "color": "theme:accent"}, "showlegend": False}
        traces.append(_curve([least], KEPT_BY) | dot)
    layout = base_layout(height=CURVE_HEIGHT)
    layout["margin"] |= {"l": 52, "t": 36, "b": 48}
    layout["xaxis"] |= {"title": {"text": "epoch"}}
    layout["yaxis"] |= {"title": {"text": "log loss"}, "rangemode": "tozero"}
    layout |= {"showlegend": True, "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}}
    return {"data": traces, "layout": layout}


def _curve(history: Sequence[Mapping[str, float]], name: str) -> Figure:
    values = [entry.get(name, math.nan) for entry in history]
    return {
        "name": inert(name.replace("_", " ")),
        "mode": "lines",
        "x": [entry["epoch"] for entry in history],
        "y": [round(value, 4) if math.isfinite(value) else None for value in values],
        "line": {"width": 2, "color": "theme:accent"}
        if name == KEPT_BY
        else {"width": 1.5, "color": "theme:muted", "dash": "dot"},
        "hovertemplate": "epoch %{x}<br>%{y:.4f}<extra>%{fullData.name}</extra>",
    }


def heat_map(values: list[list[Any]], hover: list[list[str]]) -> Figure:
    """Cells (rows, columns) from 0 to 1, None where blank, with their hover texts, which are markup."""
    return {
        "type": "heatmap",
        "z": values,
        "zmin": 0,
        "zmax": 1,
        "colorscale": SCALE,
        "showscale": False,
        "hovertext": hover,
        "hoverinfo": "text",
    }


def base_layout(height: int, *, left_of_names: bool = False) -> Figure:
    """What all figures share; `height` in pixels. The page sets the left margin of those with names there."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "meta": {"leftOfNames": left_of_names},
        "showlegend": False,
        "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "theme:ink"},
        "hoverlabel": {"bgcolor": "theme:surface", "bordercolor": "theme:muted"},
        "xaxis": plain_axis(),
        "yaxis": plain_axis(),
    }


def plain_axis() -> Figure:
    """An axis of numbers."""
    return {"gridcolor": "theme:line", "zeroline": False, "fixedrange": True, "ticks": ""}


def name_axis(names: Sequence[str]) -> Figure:
    """An axis on which the k-th name, shortened to fit, stands at k."""
    short = [name if len(name) <= LONGEST_TICK else name[: LONGEST_TICK - 1] + "…" for name in names]
    return {
        "type": "linear",
        "tickvals": list(range(len(names))),
        "ticktext": [inert(name) for name in short],
        "showgrid": False,
        "ticks": "outside",
        "ticklen": 5,
        "tickcolor": "rgba(0,0,0,0)",  # keeps the names off the cells
    }


def inert(text: str) -> str:
    """`text` for Plotly, which renders some HTML in the texts it draws."""
    return html.escape(text, quote=False)
