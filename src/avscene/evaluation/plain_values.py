"""Convert the metrics of one prediction table, and its comparison with others, to plain values for JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from avscene.evaluation.bootstrap import CLASS_METRICS, LEVEL, RESAMPLES, SEED, TABLE_METRICS, Interval
from avscene.evaluation.calibration import reliability
from avscene.evaluation.comparison import Comparison, PairOfSystems
from avscene.evaluation.measurement import Measurement, SubsetMetrics, mean_and_deviation
from avscene.evaluation.metrics import confusion, none_for_nan
from avscene.evaluation.risk import risk_coverage
from avscene.tables.folds import FOLD_TABLE
from avscene.tables.score_table import ScoreTable

CURVE_POINTS = 100  # of the risk-coverage curve


def measurement_to_dict(
    table: ScoreTable, measured: Measurement, comparison: Comparison | None, name: str, *, pooled: bool = False
) -> dict[str, Any]:
    """Return all metrics of the system `name`, with None for an undefined metric or interval.

    `comparison` is None if there is no other system on the same rows. A `pooled` table is measured by FOLD_TABLE.
    """
    return measured.segments.to_dict() | {
        "groups": measured.groups,
        "resampling": {"level": LEVEL, "draws": RESAMPLES, "seed": SEED, "resampled": "groups"},
        "no_intervals_because": measured.why_no_intervals or None,
        "intervals": {metric: interval_to_dict(measured.intervals.get(metric)) for metric in TABLE_METRICS},
        "class_intervals": {
            scene: {metric: interval_to_dict(intervals.get(metric)) for metric in CLASS_METRICS}
            for scene, intervals in measured.class_intervals.items()
        },
        "by_city": _subsets_to_dict(measured.by_city),
        "by": {column: _subsets_to_dict(subsets) for column, subsets in measured.by.items()},
        "pooled": _folds_to_dict(measured.by[FOLD_TABLE]) if pooled else None,
        "unseen_pairs": measured.unseen and none_for_nan(asdict(measured.unseen)),
        "recordings": measured.recordings and measured.recordings.to_dict(),
        **_curves_to_dict(table),
        "compared": comparison and _comparison_to_dict(comparison, name),
    }


def interval_to_dict(interval: Interval | None) -> Mapping[str, float] | None:
    """Return the limits of an interval, None if there is none."""
    return None if interval is None else asdict(interval)


def _subsets_to_dict(subsets: Mapping[str, SubsetMetrics]) -> dict[str, Any]:
    return {name: none_for_nan(asdict(metrics)) for name, metrics in subsets.items()}


def _folds_to_dict(folds: Mapping[str, SubsetMetrics]) -> dict[str, Any]:
    """The tables that were pooled, and mean and standard deviation over them."""
    return {
        "tables": list(folds),
        **{
            name: none_for_nan({"mean": mean, "standard_deviation": deviation})
            for name, (mean, deviation) in mean_and_deviation(folds.values()).items()
        },
    }


def _curves_to_dict(table: ScoreTable) -> dict[str, Any]:
    truth, probabilities = table.truth_index, table.probabilities
    counts = {"scenes": list(table.labels), "counts": confusion(truth, probabilities).tolist()}
    if table.labels_only:
        return {"confusion": counts, "reliability": None, "risk_coverage": None}
    bins = reliability(truth, probabilities)
    risk = risk_coverage(truth, probabilities).thinned(CURVE_POINTS)
    return {
        "confusion": counts,
        "reliability": {
            "confidence": bins.confidence.tolist(),
            "accuracy": bins.accuracy.tolist(),
            "count": bins.count.tolist(),
        },
        "risk_coverage": {
            "coverage": risk.coverage.tolist(),
            "risk": risk.risk.tolist(),
            "threshold": risk.threshold.tolist(),
        },
    }


def _comparison_to_dict(comparison: Comparison, name: str) -> dict[str, Any]:
    others = [other for other in comparison.systems if other != name]
    return {
        "n": comparison.n,
        "groups": comparison.groups,
        "best": comparison.best,
        "best_by": comparison.best_by,
        "oracle": comparison.oracle,
        "oracle_interval": interval_to_dict(comparison.oracle_interval),
        "with": {other: _pair_to_dict(comparison.between(name, other)) for other in others},
    }


def _pair_to_dict(pair: PairOfSystems) -> dict[str, Any]:
    """Return the pair with the system itself first: differences are this one minus the other."""
    return {
        "log_loss": none_for_nan(asdict(pair.log_loss)),
        "accuracy": asdict(pair.accuracy),
        "both_right": pair.both,
        "only_this_right": pair.only_first,
        "only_other_right": pair.only_second,
        "neither_right": pair.neither,
        "oracle": pair.oracle,
        "disagreement": pair.disagreement,
    }
