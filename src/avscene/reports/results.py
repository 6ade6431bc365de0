"""Convert metrics of prediction tables, and their comparison, to plain values for JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from avscene.evaluation.bootstrap import CLASS_METRICS, LEVEL, RESAMPLES, SEED, TABLE_METRICS, Interval
from avscene.evaluation.calibration import reliability
from avscene.evaluation.comparison import Comparison, PairOfSystems
from avscene.evaluation.measurement import Measurement
from avscene.evaluation.metrics import confusion
from avscene.evaluation.risk import risk_coverage
from avscene.evaluation.tables import EvaluationResult
from avscene.tables.score_table import ScoreTable

CURVE_POINTS = 100  # of the risk-coverage curve


def evaluation_to_dict(result: EvaluationResult) -> dict[str, Any]:
    """Return all metrics of evaluated tables as plain values, by the name of the table."""
    return {
        name: measurement_to_dict(result.tables[name], measured, result.comparison, name)
        for name, measured in result.measured.items()
    }


def measurement_to_dict(
    table: ScoreTable, measured: Measurement, comparison: Comparison | None, name: str
) -> dict[str, Any]:
    """Return all metrics of the system `name`, with None for an undefined metric or interval.

    `comparison` is None if there is no other system on the same rows.
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
        "by_city": {city: asdict(metrics) for city, metrics in measured.by_city.items()},
        "unseen_pairs": measured.unseen and asdict(measured.unseen),
        "recordings": measured.recordings and measured.recordings.to_dict(),
        **_curves_to_dict(table),
        "compared": comparison and _comparison_to_dict(comparison, name),
    }


def interval_to_dict(interval: Interval | None) -> Mapping[str, float] | None:
    """Return the limits of an interval, None if there is none."""
    return None if interval is None else asdict(interval)


def _curves_to_dict(table: ScoreTable) -> dict[str, Any]:
    truth, probabilities = table.truth_index, table.probabilities
    bins = reliability(truth, probabilities)
    risk = risk_coverage(truth, probabilities).thinned(CURVE_POINTS)
    return {
        "confusion": {"scenes": list(table.labels), "counts": confusion(truth, probabilities).tolist()},
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
        "oracle": comparison.oracle,
        "oracle_interval": interval_to_dict(comparison.oracle_interval),
        "with": {other: _pair_to_dict(comparison.between(name, other)) for other in others},
    }


def _pair_to_dict(pair: PairOfSystems) -> dict[str, Any]:
    """Return the pair with the system itself first: differences are this one minus the other."""
    return {
        "log_loss": asdict(pair.log_loss),
        "accuracy": asdict(pair.accuracy),
        "both_right": pair.both,
        "only_this_right": pair.only_first,
        "only_other_right": pair.only_second,
        "neither_right": pair.neither,
        "oracle": pair.oracle,
        "disagreement": pair.disagreement,
    }
