"""The table of `avscene reproduce`: rows in, one Markdown, one JSON and one HTML file out."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avscene.evaluation.bootstrap import LEVEL, RESAMPLES, SEED, TABLE_METRICS, Interval
from avscene.evaluation.measurement import Measurement, measure
from avscene.evaluation.metrics import TableMetrics
from avscene.files import write_text
from avscene.records import DECIMALS
from avscene.reports.reproduction.html import to_html
from avscene.reports.reproduction.markdown import to_markdown
from avscene.reports.reproduction.rows import (
    PUBLISHED_IN,
    PUBLISHED_ON,
    Absent,
    Published,
    Reproduction,
    ReproductionRow,
)

__all__ = [
    "Absent",
    "Published",
    "Reproduction",
    "ReproductionRow",
    "measure",
    "to_dict",
    "to_html",
    "to_markdown",
    "write_reproduction",
]

SCHEMA = "avscene-reproduction/1"
NAME = "reproduction"  # of the three files, before their endings


def write_reproduction(directory: Path, reproduction: Reproduction) -> tuple[Path, Path, Path]:
    """Write the table as Markdown, JSON and HTML into `directory`, each file complete or not at all.

    Raises:
        DataError: a file cannot be written.
    """
    paths = (directory / f"{NAME}.md", directory / f"{NAME}.json", directory / f"{NAME}.html")
    structured = json.dumps(to_dict(reproduction), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for path, text in zip(paths, (to_markdown(reproduction), structured, to_html(reproduction)), strict=True):
        write_text(path, text)
    return paths


def to_dict(reproduction: Reproduction) -> dict[str, Any]:
    """The table as plain values fit for JSON; None where a figure is undefined. Accuracies are shares of 1."""
    content = {
        "schema": SCHEMA,
        "heading": reproduction.heading,
        "warnings": list(reproduction.warnings),
        "notes": list(reproduction.notes),
        "data": reproduction.data,
        "backbones": reproduction.backbones,
        "comparable": reproduction.comparable,
        "date": reproduction.date,
        "versions": dict(reproduction.versions),
        "units": {"log_loss": "natural logarithm", "accuracy": "share of 1"},
        "intervals": {"level": LEVEL, "draws": RESAMPLES, "seed": SEED, "resampled": "groups"},
        "rows": [_row(row, reproduction.difference(row)) for row in reproduction.rows],
    }
    found: dict[str, Any] = _plain(content)
    return found


def _row(row: ReproductionRow, difference: tuple[float, float] | None) -> dict[str, Any]:
    return {
        "index": row.index,
        "title": row.title,
        "needs": row.needs,
        "notes": row.notes,
        "ours": row.ours,
        "stand_in": row.stand_in or None,
        "reconstructs": list(row.reconstructs),
        "published": row.published and {**asdict(row.published), "measured_on": PUBLISHED_ON, "source": PUBLISHED_IN},
        "measured": row.measured
        and {"fitted_on": row.fitted_on, "measured_on": row.measured_on, **_measured(row.measured)},
        "difference": difference and dict(zip(("log_loss", "accuracy"), difference, strict=True)),
        "absent": row.absent and asdict(row.absent),
        "history": [dict(epoch) for epoch in row.history],
    }


def _measured(figures: Measurement) -> dict[str, Any]:
    return {
        "groups": figures.groups,
        "segments": {
            **_overall(figures.segments),
            "intervals": {name: _interval(figures.intervals.get(name)) for name in TABLE_METRICS},
        },
        "recordings": figures.recordings and _overall(figures.recordings),
        "per_class": figures.segments.to_dict()["per_class"],
        "per_city": {city: asdict(found) for city, found in figures.by_city.items()},
        "unseen_pairs": figures.unseen and asdict(figures.unseen),
    }


def _interval(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)


def _overall(evaluation: TableMetrics) -> dict[str, float]:
    return {"n": evaluation.n} | {name: getattr(evaluation, name) for name in TABLE_METRICS}


def _plain(value: Any) -> Any:
    """`value` with numbers rounded to DECIMALS, NaN and infinities as None, tuples as lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, DECIMALS) if math.isfinite(value) else None
    return value
