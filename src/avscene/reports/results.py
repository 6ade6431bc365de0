"""What was measured of systems, and how they compare, in; plain values fit for JSON out."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from avscene.evaluation.bootstrap import CLASS_METRICS, LEVEL, RESAMPLES, SEED, TABLE_METRICS, Interval
from avscene.evaluation.comparison import Comparison, PairOfSystems
from avscene.evaluation.measurement import Measurement
from avscene.evaluation.metrics import confusion, reliability
from avscene.evaluation.risk import risk_coverage
from avscene.evaluation.tables import EvaluationResult
from avscene.tables.score_table import ScoreTable

CURVE_POINTS = 100  # of the risk-coverage curve


def evaluation_to_dict(result: EvaluationResult) -> dict[str, Any]:
    """Return all metrics of evaluated tables as plain values, by the name of the table."""
    return {
        name: to_dict(result.tables[name], measured, result.comparison, name)
        for name, measured in result.measured.items()
    }


def to_dict(table: ScoreTable, found: Measurement, comparison: Comparison | None, name: str) -> dict[str, Any]:
    """All that was measured of the system `name`; None where a figure or an interval is undefined.

    `comparison` is None where there is nothing that the system can be compared with.
    """
    return found.segments.to_dict() | {
        "groups": found.groups,
        "resampling": {"level": LEVEL, "draws": RESAMPLES, "seed": SEED, "resampled": "groups"},
        "no_intervals_because": found.why_no_intervals or None,
        "intervals": {figure: _interval(found.intervals.get(figure)) for figure in TABLE_METRICS},
        "class_intervals": {
            scene: {figure: _interval(known.get(figure)) for figure in CLASS_METRICS}
            for scene, known in found.class_intervals.items()
        },
        "by_city": {city: asdict(figures) for city, figures in found.by_city.items()},
        "unseen_pairs": found.unseen and asdict(found.unseen),
        "recordings": found.recordings and found.recordings.to_dict(),
        **_curves(table),
        "compared": comparison and _compared(comparison, name),
    }


def _curves(table: ScoreTable) -> dict[str, Any]:
    truth, probabilities = table.truth_index, table.probabilities
    honest = reliability(truth, probabilities)
    risk = risk_coverage(truth, probabilities).thinned(CURVE_POINTS)
    return {
        "confusion": {"scenes": list(table.labels), "counts": confusion(truth, probabilities).tolist()},
        "reliability": {
            "confidence": honest.confidence.tolist(),
            "accuracy": honest.accuracy.tolist(),
            "count": honest.count.tolist(),
        },
        "risk_coverage": {
            "coverage": risk.coverage.tolist(),
            "risk": risk.risk.tolist(),
            "threshold": risk.threshold.tolist(),
        },
    }


def _compared(comparison: Comparison, name: str) -> dict[str, Any]:
    others = [other for other in comparison.systems if other != name]
    return {
        "n": comparison.n,
        "groups": comparison.groups,
        "best": comparison.best,
        "oracle": comparison.oracle,
        "oracle_interval": _interval(comparison.oracle_interval),
        "with": {other: _pair(comparison.between(name, other)) for other in others},
    }


def _pair(pair: PairOfSystems) -> dict[str, Any]:
    """The pair with this system first: differences are this one minus the other."""
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


def _interval(found: Interval | None) -> Mapping[str, float] | None:
    return None if found is None else asdict(found)
