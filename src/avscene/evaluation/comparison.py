"""Compare systems on the same rows: differences with intervals and p-values, and who is right where another errs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from avscene.errors import DataError
from avscene.evaluation.bootstrap import SEED, Interval, group_indices, group_sums, mean_intervals
from avscene.evaluation.metrics import row_log_losses
from avscene.records import BoolArray, FloatArray, IntArray
from avscene.tables.score_table import ScoreTable

PERMUTATIONS = 9_999  # with the observed one, 10,000 assignments of systems to groups
BATCH = 100  # permutations at a time, so that memory does not grow with their number
SUM_ROUNDING = 1e-9  # relative error of a sum in another order


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of one system minus that of another; interval and `p` are None with fewer than two groups.

    `value` is NaN for the log loss if one of the systems has no probabilities.
    """

    value: float
    interval: Interval | None
    p: float | None

    def reversed(self) -> "Difference":
        """Return the difference with the systems exchanged."""
        interval = None if self.interval is None else Interval(-self.interval.high, -self.interval.low)
        return Difference(0.0 - self.value, interval, self.p)


@dataclass(frozen=True, slots=True)
class PairOfSystems:
    """`first` against `second`: differences (first minus second) and shares of the rows.

    `both`, `only_first`, `only_second` and `neither` are the shares on which these are right; `disagreement` is the
    share on which the predicted scenes differ.
    """

    first: str
    second: str
    log_loss: Difference
    accuracy: Difference
    both: float
    only_first: float
    only_second: float
    neither: float
    disagreement: float

    @property
    def oracle(self) -> float:
        """The accuracy if the right one of the two predictions is always taken: an upper bound for choosing."""
        return 1 - self.neither

    def reversed(self) -> "PairOfSystems":
        """Return the pair with `second` first."""
        return PairOfSystems(
            first=self.second,
            second=self.first,
            log_loss=self.log_loss.reversed(),
            accuracy=self.accuracy.reversed(),
            both=self.both,
            only_first=self.only_second,
            only_second=self.only_first,
            neither=self.neither,
            disagreement=self.disagreement,
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Systems compared on the same `n` rows of `groups` groups; `best` is the system of least log loss.

    If a system has no probabilities, `best` is the system of highest accuracy, and `best_by` says which of the two.

    `pairs` are all unordered pairs in the order of the `systems`. `oracle` is the share of rows on which at least one
    system is right, with its `oracle_interval` (None with fewer than two groups).
    """

    n: int
    groups: int
    systems: tuple[str, ...]
    best: str
    best_by: Literal["log_loss", "accuracy"]
    pairs: tuple[PairOfSystems, ...]
    oracle: float
    oracle_interval: Interval | None

    def between(self, first: str, second: str) -> PairOfSystems:
        """Return the pair of two different systems, `first` first.

        Raises:
            KeyError: one of them is not among the systems, or they are the same.
        """
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                return pair.reversed()
        raise KeyError(f"{first} and {second}")


def compare(tables: Mapping[str, ScoreTable]) -> Comparison:
    """Compare two or more systems by name, from tables of the same rows, labels, truth and groups in the same order.

    Intervals of differences are from the paired cluster bootstrap: whole groups are drawn, and both systems are
    evaluated on the same resample (`bootstrap.group_resamples`). `p` is two-sided and from the approximate
    randomisation test (Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses"): under the null hypothesis
    either system could have made the predictions of any group, so both are exchanged in random groups, and `p` is the
    share of 10,000 assignments, the observed one included (Phipson & Smyth 2010), whose difference is at least as
    large. With g groups it is at least about 2 ** (1 - g). It is not corrected for the number of pairs.

    Raises:
        DataError: there are fewer than two tables, their rows differ, or they have no truth.
    """
    _check_same_rows(tables)
    names, first = tuple(tables), next(iter(tables.values()))
    truth = first.truth_index
    losses = np.column_stack([_row_losses(truth, table) for table in tables.values()])
    by_accuracy = any(table.labels_only for table in tables.values())
    predicted = np.column_stack([table.probabilities.argmax(axis=1) for table in tables.values()])
    right = predicted == truth[:, None]
    pairs = list(combinations(range(len(names)), 2))
    groups = group_indices(first.groups)
    differences = zip(*(_differences(values, pairs, *groups) for values in (losses, right)), strict=True)
    any_right = right.any(axis=1)
    return Comparison(
        n=len(first),
        groups=groups[0],
        systems=names,
        best=names[int(right.mean(axis=0).argmax() if by_accuracy else losses.mean(axis=0).argmin())],
        best_by="accuracy" if by_accuracy else "log_loss",
        pairs=tuple(
            _compare_pair((names[one], names[other]), difference, right[:, [one, other]], predicted[:, [one, other]])
            for (one, other), difference in zip(pairs, differences, strict=True)
        ),
        oracle=float(any_right.mean()),
        oracle_interval=_mean_interval(any_right, *groups),
    )


def _row_losses(truth: IntArray, table: ScoreTable) -> FloatArray:
    """The log loss (n,) of each row, NaN without probabilities."""
    return np.full(len(table), np.nan) if table.labels_only else row_log_losses(truth, table.probabilities)


def _check_same_rows(tables: Mapping[str, ScoreTable]) -> None:
    if len(tables) < 2:
        raise DataError("a comparison needs at least two tables")
    (name, first), *others = tables.items()
    for other, table in others:
        for what, same in (
            ("rows", first.filenames == table.filenames and _equal_starts(first, table)),
            ("scenes", first.labels == table.labels),
            ("true scenes", first.truth == table.truth),
            ("groups", first.groups == table.groups),
        ):
            if not same:
                raise DataError(f"{other}: its {what} are not those of {name}, or not in the same order")


def _equal_starts(first: ScoreTable, second: ScoreTable) -> bool:
    if first.starts is None or second.starts is None:
        return first.starts is second.starts
    return np.array_equal(first.starts, second.starts)


def _compare_pair(
    names: tuple[str, str], difference: tuple[Difference, Difference], right: BoolArray, predicted: IntArray
) -> PairOfSystems:
    """`right` and `predicted` (n, 2) are of the two systems; `difference` is in log loss and in accuracy."""
    one, other = right.T
    return PairOfSystems(
        *names,
        *difference,
        both=float((one & other).mean()),
        only_first=float((one & ~other).mean()),
        only_second=float((other & ~one).mean()),
        neither=float((~one & ~other).mean()),
        disagreement=float((predicted[:, 0] != predicted[:, 1]).mean()),
    )


def _differences(
    values: FloatArray | BoolArray, pairs: list[tuple[int, int]], n_groups: int, group: IntArray
) -> list[Difference]:
    """The difference of the means of two columns of `values` (n, systems), for every pair of columns."""
    first, second = np.array(pairs).T
    means = values.mean(axis=0)
    differences = (means[first] - means[second]).tolist()
    if n_groups < 2:
        return [Difference(value, None, None) for value in differences]
    sums = group_sums(group, values)
    group_differences = sums[:, first] - sums[:, second]
    intervals = mean_intervals(group_differences, np.bincount(group).astype(float))
    p = _randomisation_test(group_differences)
    return [
        Difference(value, None, None) if math.isnan(value) else Difference(value, interval, one_p)
        for value, interval, one_p in zip(differences, intervals, p.tolist(), strict=True)
    ]


def _mean_interval(values: BoolArray, n_groups: int, group: IntArray) -> Interval | None:
    """The interval of the mean of `values` (n,)."""
    if n_groups < 2:
        return None
    (interval,) = mean_intervals(group_sums(group, values[:, None]), np.bincount(group).astype(float))
    return interval


def _randomisation_test(differences: FloatArray) -> FloatArray:
    """(pairs,) two-sided p-values of the sums over groups of `differences` (groups, pairs), by random signs."""
    observed = np.abs(differences.sum(axis=0)) - SUM_ROUNDING * np.abs(differences).sum(axis=0)
    random = np.random.default_rng(SEED)
    larger = np.ones(differences.shape[1])  # the observed assignment
    for start in range(0, PERMUTATIONS, BATCH):
        signs = random.integers(0, 2, (min(BATCH, PERMUTATIONS - start), len(differences)), np.int8) * 2.0 - 1
        larger += (np.abs(signs @ differences) >= observed).sum(axis=0)
    return larger / (PERMUTATIONS + 1)
