"""Describe the plots of a reproduction for Plotly: published and measured metrics, scenes, cities, learning curves."""

import math
from collections.abc import Callable, Sequence

from avscene.evaluation.measurement import Measurement
from avscene.figures import Figure, base_layout, escape_markup, name_axis
from avscene.reports.heat_maps import share_figure
from avscene.reports.reproduction.rows import SELECTION_LOSS, Epoch, Reproduction, ReproductionRow, best_epoch

SYSTEM_HEIGHT = 24  # pixels of one row
CURVE_HEIGHT = 280  # pixels
PER_CENT = 100
# Attribute of `Published` and `TableMetrics`: title of the axis, factor of the values.
AXES = {"log_loss": ("log loss", 1), "accuracy": ("accuracy, per cent", PER_CENT)}
LEGEND = {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}

CellOf = Callable[[Measurement, str], tuple[float, str] | None]  # of a column: a share of 1 and its hover text


def comparison_figure(reproduction: Reproduction, metric: str) -> Figure:
    """Return a plot of `metric` (a key of AXES): published values as diamonds, measured ones as dots with intervals."""
    title, factor = AXES[metric]
    note = "" if reproduction.comparable else " (not comparable)"
    values = [
        (position, row, getattr(row.published, metric) * factor)
        for position, row in enumerate(reproduction.rows)
        if row.published is not None
    ]
    layout = base_layout(height=104 + SYSTEM_HEIGHT * len(reproduction.rows), names_on_left=True)
    layout["margin"] |= {"t": 40, "b": 48}
    layout["xaxis"] |= {"title": {"text": title}, "rangemode": "tozero"}
    layout["yaxis"] |= name_axis([row.index for row in reproduction.rows])
    layout["yaxis"] |= {"range": [len(reproduction.rows) - 0.5, -0.5], "showgrid": True}
    layout |= {"showlegend": True, "legend": LEGEND}
    published = _marker_trace(f"published{note}", values) | {
        "marker": {"symbol": "diamond-open", "size": 9, "color": "theme:ink"}
    }
    return {"data": [published, _measured_trace(reproduction, metric, factor)], "layout": layout}


def _measured_trace(reproduction: Reproduction, metric: str, factor: float) -> Figure:
    values, below, above = [], [], []
    for position, row in enumerate(reproduction.rows):
        if row.measured is None:
            continue
        value, interval = getattr(row.measured.segments, metric), row.measured.intervals.get(metric)
        values.append((position, row, value * factor))
        below.append(0.0 if interval is None else round(max(value - interval.low, 0) * factor, 4))
        above.append(0.0 if interval is None else round(max(interval.high - value, 0) * factor, 4))
    name = "measured" if reproduction.backbones == "paper" else "measured, small networks"
    return _marker_trace(name, values) | {
        "marker": {"size": 8, "color": "theme:accent"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "color": "theme:accent-soft",
            "thickness": 2,
            "width": 0,
        },
    }


def _marker_trace(name: str, values: Sequence[tuple[int, ReproductionRow, float]]) -> Figure:
    return {
        "name": name,
        "mode": "markers",
        "x": [round(value, 4) for _, _, value in values],
        "y": [position for position, _, _ in values],
        "hovertext": [
            f"{escape_markup(row.index)}: {name} {value:.3f}<br>{escape_markup(row.title)}" for _, row, value in values
        ],
        "hoverinfo": "text",
    }


def scene_figure(reproduction: Reproduction) -> Figure:
    """Return a heat map of recall: measured systems by true scenes."""

    def cell(measured: Measurement, scene: str) -> tuple[float, str] | None:
        metrics = measured.segments.per_class.get(scene)
        if metrics is None:
            return None
        return metrics["recall"], _hover_text(metrics["n"], metrics["recall"], metrics["log_loss"])

    return _system_heat_map(reproduction, reproduction.scenes, cell)


def city_figure(reproduction: Reproduction) -> Figure:
    """Return a heat map of accuracy: measured systems by cities."""

    def cell(measured: Measurement, city: str) -> tuple[float, str] | None:
        metrics = measured.by_city.get(city)
        if metrics is None:
            return None
        return metrics.accuracy, _hover_text(metrics.n, metrics.accuracy, metrics.log_loss)

    return _system_heat_map(reproduction, reproduction.cities, cell)


def _hover_text(count: float, share: float, loss: float) -> str:
    return f"accuracy {share:.1%}<br>log loss {loss:.3f}<br>{count:,} segments"


def _system_heat_map(reproduction: Reproduction, columns: Sequence[str], cell_of: CellOf) -> Figure:
    """Return a heat map of measured systems by `columns`; a cell without segments is blank."""
    values: list[list[float | None]] = []
    hover: list[list[str]] = []
    for row, measured in reproduction.measured:
        cells = [cell_of(measured, column) for column in columns]
        defined = [None if cell is None or math.isnan(cell[0]) else cell for cell in cells]
        values.append([None if cell is None else cell[0] for cell in defined])
        hover.append(
            [
                f"{escape_markup(row.index)}, {escape_markup(column)}<br>{'no segments' if cell is None else cell[1]}"
                for column, cell in zip(columns, defined, strict=True)
            ]
        )
    return share_figure([row.index for row, _ in reproduction.measured], columns, values, hover)


def learning_curve_figure(history: Sequence[Epoch]) -> Figure:
    """Return a plot of every value of `history` named `...loss` over `epoch`, with a dot at the best epoch.

    Epochs without a finite value leave a gap.
    """
    names = [name for name in dict.fromkeys(key for epoch in history for key in epoch) if name.endswith("loss")]
    traces = [_loss_trace(history, name) for name in names]
    if (best := best_epoch(history)) is not None:
        dot = {"mode": "markers", "marker": {"size": 9, "color": "theme:accent"}, "showlegend": False}
        traces.append(_loss_trace([best], SELECTION_LOSS) | dot)
    layout = base_layout(height=CURVE_HEIGHT)
    layout["margin"] |= {"l": 52, "t": 36, "b": 48}
    layout["xaxis"] |= {"title": {"text": "epoch"}}
    layout["yaxis"] |= {"title": {"text": "log loss"}, "rangemode": "tozero"}
    layout |= {"showlegend": True, "legend": LEGEND}
    return {"data": traces, "layout": layout}


def _loss_trace(history: Sequence[Epoch], name: str) -> Figure:
    values = [epoch.get(name, math.nan) for epoch in history]
    return {
        "name": escape_markup(name.replace("_", " ")),
        "mode": "lines",
        "x": [epoch["epoch"] for epoch in history],
        "y": [round(value, 4) if math.isfinite(value) else None for value in values],
        "line": {"width": 2, "color": "theme:accent"}
        if name == SELECTION_LOSS
        else {"width": 1.5, "color": "theme:muted", "dash": "dot"},
        "hovertemplate": "epoch %{x}<br>%{y:.4f}<extra>%{fullData.name}</extra>",
    }
