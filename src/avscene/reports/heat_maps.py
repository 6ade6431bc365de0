"""Shares of rows by columns in, a heat map with the numbers on it out."""

from collections.abc import Sequence
from pathlib import PurePath

from avscene.evaluation.comparison import Comparison
from avscene.reports.plots import DARK_SHARE, Figure, base_layout, heat_map, inert, name_axis

ROW = 24  # pixels
PER_CENT = 100


def share_map(
    rows: Sequence[str],
    columns: Sequence[str],
    shares: Sequence[Sequence[float | None]],
    hover: list[list[str]],
    *,
    largest: float = 1,
    decimals: int = 0,
) -> Figure:
    """`rows` by `columns`, coloured by share up to the `largest`, in per cent as text; blank where a share is None.

    `hover` are markup.
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
    heat = heat_map([[None if value is None else round(value, 4) for value in row] for row in shares], hover)
    heat |= {"xgap": 1, "ygap": 1, "hoverongaps": False, "zmax": largest}
    layout = base_layout(height=104 + ROW * len(rows), left_of_names=True)
    layout["margin"] |= {"b": 96}
    layout["xaxis"] |= name_axis(columns) | {"tickangle": -45}
    layout["yaxis"] |= name_axis(rows) | {"autorange": "reversed"}
    return {"data": [heat, numbers], "layout": layout}


def complementarity_figure(comparison: Comparison) -> Figure:
    """Systems by systems: the share of the rows on which the one of the row is right and that of the column wrong."""
    names, short = comparison.systems, [PurePath(name).name for name in comparison.systems]
    shown = short if len(set(short)) == len(short) else names  # folders leave no room for what tells files apart
    shares: list[list[float | None]] = [
        [None if row == column else comparison.between(row, column).only_first for column in names] for row in names
    ]
    hover = [
        [
            f"{inert(row)} right, {inert(column)} wrong<br>{share or 0:.1%} of the rows"
            for column, share in zip(names, line, strict=True)
        ]
        for row, line in zip(names, shares, strict=True)
    ]
    largest = max(share for line in shares for share in line if share is not None)
    return share_map(shown, shown, shares, hover, largest=largest or 1, decimals=1)
