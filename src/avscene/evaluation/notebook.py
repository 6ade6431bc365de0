"""Show an evaluation in notebooks: its figures and confusion matrices as HTML, its figures as a data frame."""

import html
import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from avscene.errors import PackageError
from avscene.evaluation.bootstrap import LEVEL, Interval
from avscene.evaluation.measurement import Measurement
from avscene.evaluation.metrics import METRIC_NAMES, confusion
from avscene.tables.score_table import ScoreTable

MAX_SCENES = 30  # of a confusion matrix that is shown


def evaluation_frame(measured: Mapping[str, Measurement]) -> Any:
    """Return a `pandas.DataFrame` with a row for each table: `n`, `groups`, metrics and the limits of intervals.

    Raises:
        PackageError: pandas is not installed.
    """
    rows = {}
    for name, found in measured.items():
        row: dict[str, float] = {"n": found.segments.n, "groups": found.groups}
        for metric in METRIC_NAMES:
            interval = found.intervals.get(metric, Interval(math.nan, math.nan))
            row |= {
                metric: getattr(found.segments, metric),
                f"{metric}_low": interval.low,
                f"{metric}_high": interval.high,
            }
        rows[name] = row
    return pandas().DataFrame.from_dict(rows, orient="index")


def evaluation_html(tables: Mapping[str, ScoreTable], measured: Mapping[str, Measurement]) -> str:
    """Return the figures of all tables with their intervals and the confusion matrix of each, in their order."""
    heads = ["", *METRIC_NAMES.values(), "n"]
    rows = [
        [
            name,
            *(_figure(getattr(found.segments, metric), found.intervals.get(metric)) for metric in METRIC_NAMES),
            f"{found.segments.n:,}",
        ]
        for name, found in measured.items()
    ]
    parts = [f"<p>Figures with {LEVEL:.0%} intervals over groups</p>", _table(heads, rows)]
    for name in measured:
        table = tables[name]
        if len(table.labels) <= MAX_SCENES:
            parts.append(f"<p>{html.escape(name)}: true scenes in rows, predicted scenes in columns</p>")
            parts.append(_confusion_table(table))
    return f"<div>{''.join(parts)}</div>"


def pandas() -> Any:
    """Return the package pandas.

    Raises:
        PackageError: it is not installed.
    """
    try:
        return import_module("pandas")
    except ModuleNotFoundError as error:
        raise PackageError("pandas is not installed; try: pip install pandas") from error


def _figure(value: float, interval: Interval | None) -> str:
    if math.isnan(value):
        return "\N{EN DASH}"
    within = "" if interval is None else f"\n{interval.low:.3f} to {interval.high:.3f}"
    return f"{value:.3f}{within}"


def _confusion_table(table: ScoreTable) -> str:
    counts = confusion(table.truth_index, table.probabilities).tolist()
    rows = [[scene, *map(str, row)] for scene, row in zip(table.labels, counts, strict=True)]
    return _table(["", *table.labels], rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is a heading; line breaks in cells are kept."""
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join(
        f"<tr><th>{html.escape(first)}</th>"
        + "".join(f"<td>{html.escape(cell).replace(chr(10), '<br>')}</td>" for cell in cells)
        + "</tr>"
        for first, *cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
