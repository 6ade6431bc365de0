"""Figures of a reproduction: systems published beside measured, and systems by scenes or cities."""

import math
from collections.abc import Callable, Sequence

from avscene.evaluation.measurement import Measurement
from avscene.reports.heat_maps import share_map
from avscene.reports.plots import Figure, base_layout, inert, name_axis
from avscene.reports.reproduction.rows import Reproduction, ReproductionRow

SYSTEM_ROW = 24  # pixels
PER_CENT = 100
# Figure of `Published` and `Evaluation` -> what stands along the axis, and what its values are multiplied by.
AXES = {"log_loss": ("log loss", 1), "accuracy": ("accuracy, per cent", PER_CENT)}

Shares = Callable[[Measurement, str], tuple[float, str] | None]  # of a column: a share of 1 and its hover text


def comparison_figure(reproduction: Reproduction, figure: str) -> Figure:
    """`figure` (a key of AXES) of every row: published as diamonds, measured as dots with their intervals."""
    title, factor = AXES[figure]
    apart = "" if reproduction.comparable else " (not comparable)"
    published = [
        (place, row, getattr(row.published, figure) * factor)
        for place, row in enumerate(reproduction.rows)
        if row.published is not None
    ]
    layout = base_layout(height=104 + SYSTEM_ROW * len(reproduction.rows), left_of_names=True)
    layout["margin"] |= {"t": 40, "b": 48}
    layout["xaxis"] |= {"title": {"text": title}, "rangemode": "tozero"}
    layout["yaxis"] |= name_axis([row.index for row in reproduction.rows])
    layout["yaxis"] |= {"range": [len(reproduction.rows) - 0.5, -0.5], "showgrid": True}
    layout |= {"showlegend": True, "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0}}
    hollow = _dots(f"published{apart}", published) | {
        "marker": {"symbol": "diamond-open", "size": 9, "color": "theme:ink"}
    }
    return {"data": [hollow, _measured(reproduction, figure, factor)], "layout": layout}


def _measured(reproduction: Reproduction, figure: str, factor: float) -> Figure:
    found, before, behind = [], [], []
    for place, row in enumerate(reproduction.rows):
        if row.measured is None:
            continue
        value, interval = getattr(row.measured.segments, figure), row.measured.intervals.get(figure)
        found.append((place, row, value * factor))
        before.append(0.0 if interval is None else round(max(value - interval.low, 0) * factor, 4))
        behind.append(0.0 if interval is None else round(max(interval.high - value, 0) * factor, 4))
    name = "measured" if reproduction.backbones == "paper" else "measured, stand-in backbones"
    return _dots(name, found) | {
        "marker": {"size": 8, "color": "theme:accent"},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": behind,
            "arrayminus": before,
            "color": "theme:accent-soft",
            "thickness": 2,
            "width": 0,
        },
    }


def _dots(name: str, found: Sequence[tuple[int, ReproductionRow, float]]) -> Figure:
    return {
        "name": name,
        "mode": "markers",
        "x": [round(value, 4) for _, _, value in found],
        "y": [place for place, _, _ in found],
        "hovertext": [f"{inert(row.index)}: {name} {value:.3f}<br>{inert(row.title)}" for _, row, value in found],
        "hoverinfo": "text",
    }


def scene_figure(reproduction: Reproduction) -> Figure:
    """Heat map of accuracy: measured systems by true scenes."""

    def cell(measured: Measurement, scene: str) -> tuple[float, str] | None:
        found = measured.segments.per_class.get(scene)
        return None if found is None else (found["recall"], _hover(found["n"], found["recall"], found["log_loss"]))

    return _shares(reproduction, reproduction.scenes, cell)


def city_figure(reproduction: Reproduction) -> Figure:
    """Heat map of accuracy: measured systems by cities."""

    def cell(measured: Measurement, city: str) -> tuple[float, str] | None:
        found = measured.by_city.get(city)
        return None if found is None else (found.accuracy, _hover(found.n, found.accuracy, found.log_loss))

    return _shares(reproduction, reproduction.cities, cell)


def _hover(count: float, share: float, loss: float) -> str:
    return f"accuracy {share:.1%}<br>log loss {loss:.3f}<br>{count:,} segments"


def _shares(reproduction: Reproduction, columns: Sequence[str], cell: Shares) -> Figure:
    """Systems by `columns`, coloured by share, in per cent as text; blank where there is nothing to measure."""
    values: list[list[float | None]] = []
    hover: list[list[str]] = []
    for row, measured in reproduction.measured:
        cells = [cell(measured, column) for column in columns]
        known = [None if found is None or math.isnan(found[0]) else found for found in cells]
        values.append([None if found is None else found[0] for found in known])
        hover.append(
            [
                f"{inert(row.index)}, {inert(column)}<br>{'nothing to measure' if found is None else found[1]}"
                for column, found in zip(columns, known, strict=True)
            ]
        )
    return share_map([row.index for row, _ in reproduction.measured], columns, values, hover)
