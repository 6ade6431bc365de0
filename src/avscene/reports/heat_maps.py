"""Describe heat maps of shares for Plotly: systems by scenes or cities, and systems by systems."""

from collections.abc import Sequence
from pathlib import PurePath

from avscene.evaluation.comparison import Comparison
from avscene.figures import Figure, base_layout, escape_markup, heat_map_trace, name_axis
from avscene.reports.plots import DARK_SHARE

ROW_HEIGHT = 24  # pixels
PER_CENT = 100


def share_figure(
    rows: Sequence[str],
    columns: Sequence[str],
    shares: Sequence[Sequence[float | None]],
    hover: list[list[str]],
    *,
    largest: float = 1,
    decimals: int = 0,
) -> Figure:
    """Return a heat map of `shares` of 1, written on the cells in per cent.

    Args:
        rows: names of the rows.
        columns: names of the columns.
        shares: one list for each row; None leaves a cell blank.
        hover: texts of the cells, as markup.
        largest: the share of the darkest colour.
        decimals: of the per cent.
    """
    filled = [(x, y, value) for y, row in enumerate(shares) for x, value in enumerate(row) if value is not None]
    numbers = {
        "mode": "text",
        "x": [x for x, _, _ in filled],
        "y": [y for _, y, _ in filled],
        "text": [f"{value * PER_CENT:.{decimals}f}" for _, _, value in filled],
        "textfont": {
            "size": 11,
            "color": ["theme:on-accent" if value > DARK_SHARE * largest else "theme:ink" for _, _, value in filled],
        },
        "hoverinfo": "skip",
    }
    heat = heat_map_trace([[None if value is None else round(value, 4) for value in row] for row in shares], hover)
    heat |= {"xgap": 1, "ygap": 1, "hoverongaps": False, "zmax": largest}
    layout = base_layout(height=104 + ROW_HEIGHT * len(rows), names_on_left=True)
    layout["margin"] |= {"b": 96}
    layout["xaxis"] |= name_axis(columns) | {"tickangle": -45}
    layout["yaxis"] |= name_axis(rows) | {"autorange": "reversed"}
    return {"data": [heat, numbers], "layout": layout}


def complementarity_figure(comparison: Comparison) -> Figure:
    """Return a heat map of systems by systems: where the row's system is correct and the column's is not."""
    names, short = comparison.systems, [PurePath(name).name for name in comparison.systems]
    ticks = short if len(set(short)) == len(short) else names  # directories only if file names are not unique
    shares: list[list[float | None]] = [
        [None if row == column else comparison.between(row, column).only_first for column in names] for row in names
    ]
    hover = [
        [
            f"{escape_markup(row)} correct, {escape_markup(column)} not<br>{share or 0:.1%} of the rows"
            for column, share in zip(names, line, strict=True)
        ]
        for row, line in zip(names, shares, strict=True)
    ]
    largest = max(share for line in shares for share in line if share is not None)
    return share_figure(ticks, ticks, shares, hover, largest=largest or 1, decimals=1)
