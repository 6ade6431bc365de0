"""Build tables of text that a terminal, Markdown and HTML show alike, and format the numbers in their cells."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

UNDEFINED = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A section with one table: its `anchor`, heading, a caption above the table, column names and rows of cells.

    Cells of `text_columns` are prose and left-aligned, all others are numbers. The first line of a cell is its value,
    further lines are remarks on it.
    """

    anchor: str
    heading: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: tuple[str, ...] = ()


def build_table(
    anchor: str,
    heading: str,
    caption: str,
    columns: Mapping[str, Callable[[Item], str]],
    items: Iterable[Item],
    text_columns: tuple[str, ...] = (),
) -> TextTable:
    """Build a table with a row for each of `items`; `columns` maps the name of a column to the text of its cell."""
    rows = tuple(tuple(cell_text(item) for cell_text in columns.values()) for item in items)
    return TextTable(anchor, heading, caption, tuple(columns), rows, text_columns)


def format_metric(value: float) -> str:
    """Format a log loss, an error or a share with three decimals, as the paper does."""
    return f"{value:.3f}" if math.isfinite(value) else UNDEFINED


def format_percent(share: float) -> str:
    """Format an accuracy in per cent with one decimal, as the paper does."""
    return f"{share * 100:.1f}" if math.isfinite(share) else UNDEFINED


def format_count(count: float) -> str:
    """Format a number of rows."""
    return f"{count:,}"
