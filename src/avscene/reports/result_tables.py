"""Build text tables of metrics by scene and by city, and of the comparison of systems."""

import math
from collections.abc import Callable, Mapping, Sequence

from avscene.evaluation.bootstrap import CLASS_METRICS, Interval
from avscene.evaluation.comparison import Comparison, Difference, PairOfSystems
from avscene.evaluation.measurement import Measurement, SubsetMetrics, UnseenPairs
from avscene.reports.text_table import MINUS, UNDEFINED, TextTable, build_table, format_count, format_metric
from avscene.tables.names import SceneCity

MAX_PAIRS = 12  # listed in a sentence
DIFFERENCES, COMPLEMENTARITY = "differences", "complementarity"  # anchors
MIN_P = 0.0001  # one of the 10,000 assignments

HEADINGS = {"precision": "Precision", "recall": "Recall", "f1": "F1", "log_loss": "Log loss", "accuracy": "Accuracy"}


def scene_table(measured: Measurement) -> TextTable:
    """Return the metrics of each scene."""

    def column(metric: str) -> Callable[[str], str]:
        return lambda scene: with_interval(
            measured.segments.per_class[scene][metric], measured.class_intervals[scene].get(metric)
        )

    columns: dict[str, Callable[[str], str]] = {
        "Scene": lambda scene: scene,
        "n": lambda scene: format_count(measured.segments.per_class[scene]["n"]),
    }
    columns |= {HEADINGS[metric]: column(metric) for metric in CLASS_METRICS}
    return build_table("scenes", "Metrics by scene", "", columns, measured.segments.per_class)


def city_table(measured: Measurement) -> TextTable:
    """Return the metrics of each city; without rows if the file names contain no cities."""
    return _subset_table("cities", "Metrics by city", "", "City", measured.by_city)


def subset_tables(measured: Measurement) -> list[TextTable]:
    """Return the tables of subsets: by city, and by each column for which the user asked."""
    return [city_table(measured)] + [
        _subset_table(f"by-{number}", f"Metrics by {column}", "", column.capitalize(), subsets)
        for number, (column, subsets) in enumerate(measured.by.items(), start=1)
        if column != "city"
    ]


def unseen_table(unseen: UnseenPairs | None) -> TextTable:
    """Return the metrics of seen and of unseen pairs of scene and city; without rows if training is unknown."""
    if unseen is None:
        return TextTable("unseen", "", "", (), ())
    caption = "Training had recordings of every pair."
    if unseen.pairs:
        caption = f"Training had no recording of: {list_pairs(unseen.pairs)}."
    subsets = {"seen": unseen.without, "unseen": unseen.only}
    measured = {name: metrics for name, metrics in subsets.items() if metrics is not None}
    return _subset_table("unseen", "Seen and unseen pairs of scene and city", caption, "Pairs", measured)


def list_pairs(pairs: Sequence[SceneCity]) -> str:
    """Return pairs of scene and city in words, the first MAX_PAIRS of them by name."""
    listed = [f"{scene} in {city}" for scene, city in pairs[:MAX_PAIRS]]
    if len(pairs) > MAX_PAIRS:
        listed.append(f"{len(pairs) - MAX_PAIRS} more")
    return ", ".join(listed)


def _subset_table(
    anchor: str, heading: str, caption: str, first_column: str, subsets: Mapping[str, SubsetMetrics]
) -> TextTable:
    columns: dict[str, Callable[[tuple[str, SubsetMetrics]], str]] = {
        first_column: lambda item: item[0],
        "n": lambda item: format_count(item[1].n),
        "Log loss": lambda item: with_interval(item[1].log_loss, item[1].intervals.get("log_loss")),
        "Accuracy": lambda item: with_interval(item[1].accuracy, item[1].intervals.get("accuracy")),
    }
    return build_table(anchor, heading, caption, columns, subsets.items())


def difference_table(comparison: Comparison) -> TextTable:
    """Return the differences of every other system from the best."""
    best = comparison.best
    lowest = "lowest log loss" if comparison.best_by == "log_loss" else "highest accuracy"
    pairs = [comparison.between(name, best) for name in comparison.systems if name != best]
    columns: dict[str, Callable[[PairOfSystems], str]] = {
        "System": lambda pair: pair.first,
        "Log loss, difference": lambda pair: _format_difference(pair.log_loss),
        "Log loss, p": lambda pair: _format_p(pair.log_loss),
        "Accuracy, difference": lambda pair: _format_difference(pair.accuracy),
        "Accuracy, p": lambda pair: _format_p(pair.accuracy),
    }
    caption = (
        f"Each system minus {best}, the system of {lowest}, on the same {format_count(comparison.n)} rows. "
        "Positive values: a higher log loss (worse) or a higher accuracy (better)."
    )
    return build_table(DIFFERENCES, "Differences from the best system", caption, columns, pairs)


def complementarity_table(comparison: Comparison) -> TextTable:
    """Return, for every pair of systems, the shares of the rows by which system is correct."""
    columns: dict[str, Callable[[PairOfSystems], str]] = {
        "First": lambda pair: pair.first,
        "Second": lambda pair: pair.second,
        "Both correct": lambda pair: format_metric(pair.both),
        "Only first": lambda pair: format_metric(pair.only_first),
        "Only second": lambda pair: format_metric(pair.only_second),
        "Neither": lambda pair: format_metric(pair.neither),
        "Oracle": lambda pair: format_metric(pair.oracle),
        "Predictions differ": lambda pair: format_metric(pair.disagreement),
    }
    oracle = join_lines(with_interval(comparison.oracle, comparison.oracle_interval))
    caption = (
        f"Shares of the rows. At least one of the {len(comparison.systems)} systems is correct on {oracle} of them "
        "(oracle): no choice between their predictions is more accurate."
    )
    return build_table(COMPLEMENTARITY, "Complementarity", caption, columns, comparison.pairs, text_columns=("Second",))


def with_interval(value: float, interval: Interval | None) -> str:
    """Format a metric and, on a second line, its interval if there is one."""
    if interval is None or math.isnan(value):
        return format_metric(value)
    return f"{format_metric(value)}\n{format_metric(interval.low)} to {format_metric(interval.high)}"


def join_lines(cell: str) -> str:
    """Return a cell on one line, with the remarks in brackets."""
    value, *remarks = cell.split("\n")
    return value + "".join(f" ({remark})" for remark in remarks)


def _format_difference(difference: Difference) -> str:
    if math.isnan(difference.value):
        return UNDEFINED
    text = _format_signed(difference.value)
    if difference.interval is None:
        return text
    return f"{text}\n{_format_signed(difference.interval.low)} to {_format_signed(difference.interval.high)}"


def _format_signed(value: float) -> str:
    return f"{value:+z.3f}".replace("-", MINUS)


def _format_p(difference: Difference) -> str:
    if difference.p is None:
        return UNDEFINED
    return f"{difference.p:.4f}" if difference.p > MIN_P else f"{MIN_P:.4f} or less"
