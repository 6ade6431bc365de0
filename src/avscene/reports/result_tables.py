"""What was measured of systems, and how they compare, in; tables of text for a terminal and a page out."""

import math
from collections.abc import Callable, Mapping

from avscene.evaluation.bootstrap import CLASS_METRICS, Interval
from avscene.evaluation.comparison import Comparison, Difference, PairOfSystems
from avscene.evaluation.measurement import Measurement, SubsetMetrics, UnseenPairs
from avscene.reports.text_table import MINUS, NOTHING, TextTable, count, number, text_table

MOST_PAIRS = 12  # named in a sentence
DIFFERENCES, COMPLEMENTARITY = "differences", "complementarity"  # anchors
LEAST_P = 0.0001  # one of the 10,000 assignments

HEADINGS = {"precision": "Precision", "recall": "Recall", "f1": "F1", "log_loss": "Log loss", "accuracy": "Accuracy"}


def scene_table(found: Measurement) -> TextTable:
    """A row for each scene."""

    def column(figure: str) -> Callable[[str], str]:
        return lambda scene: with_interval(
            found.segments.per_class[scene][figure], found.class_intervals[scene].get(figure)
        )

    columns: dict[str, Callable[[str], str]] = {
        "Scene": lambda scene: scene,
        "n": lambda scene: count(found.segments.per_class[scene]["n"]),
    }
    columns |= {HEADINGS[figure]: column(figure) for figure in CLASS_METRICS}
    return text_table("scenes", "Figures per scene", "", columns, found.segments.per_class)


def city_table(found: Measurement) -> TextTable:
    """A row for each city; none where names tell no city."""
    return _parts_table("cities", "Figures per city", "", "City", found.by_city)


def unseen_table(unseen: UnseenPairs | None) -> TextTable:
    """Scenes in cities where training had none, and the rest; no rows where it is not known what training had."""
    if unseen is None:
        return TextTable("unseen", "", "", (), ())
    named = [f"{scene} in {city}" for scene, city in unseen.pairs[:MOST_PAIRS]]
    if len(unseen.pairs) > MOST_PAIRS:
        named.append(f"{len(unseen.pairs) - MOST_PAIRS} more")
    says = f"Training had no recording of: {', '.join(named) or 'nothing that is here'}."
    parts = {"seen in training": unseen.without, "not seen": unseen.only}
    known = {name: figures for name, figures in parts.items() if figures is not None}
    return _parts_table("unseen", "Scenes in cities that training had, and had not", says, "Pairs", known)


def _parts_table(anchor: str, heading: str, says: str, what: str, parts: Mapping[str, SubsetMetrics]) -> TextTable:
    columns: dict[str, Callable[[tuple[str, SubsetMetrics]], str]] = {
        what: lambda item: item[0],
        "n": lambda item: count(item[1].n),
        "Log loss": lambda item: with_interval(item[1].log_loss, item[1].intervals.get("log_loss")),
        "Accuracy": lambda item: with_interval(item[1].accuracy, item[1].intervals.get("accuracy")),
    }
    return text_table(anchor, heading, says, columns, parts.items())


def difference_table(comparison: Comparison) -> TextTable:
    """Every other system against the best."""
    best = comparison.best
    pairs = [comparison.between(name, best) for name in comparison.systems if name != best]
    columns: dict[str, Callable[[PairOfSystems], str]] = {
        "System": lambda pair: pair.first,
        "Log loss, difference": lambda pair: _difference(pair.log_loss),
        "Log loss, p": lambda pair: _p(pair.log_loss),
        "Accuracy, difference": lambda pair: _difference(pair.accuracy),
        "Accuracy, p": lambda pair: _p(pair.accuracy),
    }
    says = (
        f"Each system minus {best}, which has the least log loss, on the same {count(comparison.n)} rows: "
        "above 0 it has the greater log loss, or the greater accuracy."
    )
    return text_table(DIFFERENCES, "Differences to the best", says, columns, pairs)


def complementarity_table(comparison: Comparison) -> TextTable:
    """Every pair of systems: shares of the rows by who is right."""
    columns: dict[str, Callable[[PairOfSystems], str]] = {
        "First": lambda pair: pair.first,
        "Second": lambda pair: pair.second,
        "Both right": lambda pair: number(pair.both),
        "Only first": lambda pair: number(pair.only_first),
        "Only second": lambda pair: number(pair.only_second),
        "Neither": lambda pair: number(pair.neither),
        "Oracle": lambda pair: number(pair.oracle),
        "Answers differ": lambda pair: number(pair.disagreement),
    }
    says = (
        f"Shares of the rows. At least one of the {len(comparison.systems)} systems is right on "
        f"{spelt(with_interval(comparison.oracle, comparison.oracle_interval))} of them: "
        "no way of choosing between their answers is right more often (oracle bound)."
    )
    return text_table(
        COMPLEMENTARITY, "Who is right where another is wrong", says, columns, comparison.pairs, words=("Second",)
    )


def with_interval(value: float, interval: Interval | None) -> str:
    """A figure and, on a line of its own, its interval if there is one."""
    if interval is None or math.isnan(value):
        return number(value)
    return f"{number(value)}\n{number(interval.low)} to {number(interval.high)}"


def spelt(cell: str) -> str:
    """A cell of such tables on one line, what stands below the first in brackets."""
    text, *remarks = cell.split("\n")
    return text + "".join(f" ({remark})" for remark in remarks)


def _difference(change: Difference) -> str:
    text = _signed(change.value)
    if change.interval is None:
        return text
    return f"{text}\n{_signed(change.interval.low)} to {_signed(change.interval.high)}"


def _signed(value: float) -> str:
    return f"{value:+z.3f}".replace("-", MINUS)


def _p(change: Difference) -> str:
    if change.p is None:
        return NOTHING
    return f"{change.p:.4f}" if change.p > LEAST_P else f"{LEAST_P:.4f} or less"
