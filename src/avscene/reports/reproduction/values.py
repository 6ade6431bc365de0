"""Convert a reproduction to plain values for JSON (schema `avscene-reproduction/1`)."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from avscene.evaluation.bootstrap import LEVEL, RESAMPLES, SEED, TABLE_METRICS
from avscene.evaluation.measurement import Measurement
from avscene.evaluation.metrics import TableMetrics
from avscene.evaluation.plain_values import interval_to_dict
from avscene.reports.reproduction.rows import PUBLISHED_IN, PUBLISHED_ON, Reproduction, ReproductionRow
from avscene.verdicts import DECIMALS

SCHEMA = "avscene-reproduction/1"


def reproduction_to_dict(reproduction: Reproduction) -> dict[str, Any]:
    """Return the table as plain values, with None for an undefined metric. Accuracies are shares of 1."""
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
        "rows": [_row_to_dict(row, reproduction.difference(row)) for row in reproduction.rows],
    }
    rounded: dict[str, Any] = _round_values(content)
    return rounded


def _row_to_dict(row: ReproductionRow, difference: tuple[float, float] | None) -> dict[str, Any]:
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
        and {"fitted_on": row.fitted_on, "measured_on": row.measured_on, **_metrics_to_dict(row.measured)},
        "difference": difference and dict(zip(("log_loss", "accuracy"), difference, strict=True)),
        "absent": row.absent and asdict(row.absent),
        "history": [dict(epoch) for epoch in row.history],
    }


def _metrics_to_dict(measured: Measurement) -> dict[str, Any]:
    return {
        "groups": measured.groups,
        "segments": {
            **_overall_to_dict(measured.segments),
            "intervals": {name: interval_to_dict(measured.intervals.get(name)) for name in TABLE_METRICS},
        },
        "recordings": measured.recordings and _overall_to_dict(measured.recordings),
        "per_class": measured.segments.to_dict()["per_class"],
        "per_city": {city: asdict(metrics) for city, metrics in measured.by_city.items()},
        "unseen_pairs": measured.unseen and asdict(measured.unseen),
    }


def _overall_to_dict(metrics: TableMetrics) -> dict[str, float]:
    return {"n": metrics.n} | {name: getattr(metrics, name) for name in TABLE_METRICS}


def _round_values(value: Any) -> Any:
    """Return `value` with numbers rounded to DECIMALS, None for NaN and infinities, and lists for tuples."""
    if isinstance(value, Mapping):
        return {key: _round_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_round_values(item) for item in value]
    if isinstance(value, float):
        return round(value, DECIMALS) if math.isfinite(value) else None
    return value
