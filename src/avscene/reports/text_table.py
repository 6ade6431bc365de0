"""Values and how each column shows them in; tables of text, the same for a terminal, Markdown and HTML, out."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

NOTHING = "\N{EN DASH}"  # where a figure is undefined
MINUS = "\N{MINUS SIGN}"

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class TextTable:
    """A section with one table: its `anchor`, heading, a sentence on what it shows, column names, rows of cells.

    Cells of the columns `words` are read, the others compared. Lines of a cell after its first are remarks.
    """

    anchor: str
    heading: str
    says: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()


def text_table(
    anchor: str,
    heading: str,
    says: str,
    columns: Mapping[str, Callable[[Item], str]],
    items: Iterable[Item],
    words: tuple[str, ...] = (),
) -> TextTable:
    """The table that has a row for each of `items` and for each of `columns` what its function says of the item."""
    rows = tuple(tuple(shown(item) for shown in columns.values()) for item in items)
    return TextTable(anchor, heading, says, tuple(columns), rows, words)


def number(value: float) -> str:
    """A log loss or an error, to three decimals as the seed prints it."""
    return f"{value:.3f}" if math.isfinite(value) else NOTHING


def percent(share: float) -> str:
    """An accuracy in per cent, to one decimal as the seed prints it."""
    return f"{share * 100:.1f}" if math.isfinite(share) else NOTHING


def count(number: float) -> str:
    """A number of rows."""
    return f"{number:,}"
