"""Describe figures for Plotly: what all figures share, and the probabilities of scenes over time.

Colours are written `theme:NAME`: a page replaces them by its custom property `--NAME` (report.js), `light_figure` by
those of the light scheme. Scenes are placed by number and named by tick texts: otherwise a scene called `2024-01-01`
would make an axis of dates.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Figure = dict[str, Any]  # {"data": [...], "layout": {...}} as in Plotly's JSON schema
Values = npt.NDArray[np.floating[Any]]

MAX_TICK_LENGTH = 17  # characters of a name beside an axis; the hover text has the full name
TIMELINE_ROW = 22  # pixels
PHOTOGRAPH_SECONDS = 1.0  # width of a photograph on the time axis
TIME_TOLERANCE = 1e-6  # seconds
COLOR_SCALE = [[0, "theme:surface"], [0.5, "theme:accent-soft"], [1, "theme:accent"]]
# The light scheme of report.css, by the names of its custom properties.
LIGHT = {
    "surface": "#ffffff",
    "ink": "#1d2530",
    "muted": "#5d6875",
    "line": "#e1e3e4",
    "accent": "#1f6f8b",
    "accent-soft": "#8fbccb",
    "on-accent": "#ffffff",
}


def timeline_columns(starts: Values, ends: Values, probabilities: Values) -> tuple[Values, Values]:
    """Return times (columns + 1,) and probabilities (columns, n_scenes) without overlaps; gaps are columns of NaN.

    Args:
        starts: (n,) seconds, increasing.
        ends: (n,) seconds.
        probabilities: (n, n_scenes).
    """
    edges: list[float] = [float(starts[0])]
    columns: list[Values] = []
    nexts = np.append(starts[1:], np.inf)
    for start, end, following, row in zip(starts, ends, nexts, probabilities, strict=True):
        if start > edges[-1] + TIME_TOLERANCE:
            edges.append(float(start))
            columns.append(np.full_like(row, np.nan))
        stop = float(min(end, following))
        if stop > edges[-1]:
            edges.append(stop)
            columns.append(row)
    if not columns:
        edges.append(edges[0] + PHOTOGRAPH_SECONDS)
        columns.append(probabilities[-1])
    return np.array(edges), np.array(columns)


def merged_columns(edges: Values, columns: Values, limit: int) -> tuple[Values, Values]:
    """Return at most `limit` columns in place of `columns` (n, n_scenes): means of neighbours, by their lengths.

    `edges` (n + 1,) are their times. Blank columns (NaN) do not count; a column of none but blank ones is blank.
    """
    if len(columns) <= limit:
        return edges, columns
    first = np.arange(limit) * len(columns) // limit
    lengths = np.where(np.isnan(columns[:, 0]), 0.0, np.diff(edges))
    totals = np.add.reduceat(lengths, first)[:, None]
    sums = np.add.reduceat(np.nan_to_num(columns) * lengths[:, None], first, axis=0)
    means = np.divide(sums, totals, out=np.full_like(sums, np.nan), where=totals > 0)
    return np.append(edges[first], edges[-1]), means


def light_figure(figure: Figure) -> Figure:
    """Return `figure` with the colours of the light scheme in place of `theme:NAME`."""

    def resolve(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("theme:"):
            return LIGHT.get(value.removeprefix("theme:"), value)
        if isinstance(value, dict):
            return {key: resolve(item) for key, item in value.items()}
        return [resolve(item) for item in value] if isinstance(value, list) else value

    return {"data": resolve(figure["data"]), "layout": resolve(figure["layout"])}


def timeline_figure(names: Sequence[str], edges: Values, probabilities: Values) -> Figure:
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
