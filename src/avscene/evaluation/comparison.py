"""Tables of the same rows in; out, which system is better by how much, and who is right where another is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from avscene.errors import DataError
from avscene.evaluation.bootstrap import SEED, Interval, group_indices, group_sums, mean_intervals
from avscene.evaluation.metrics import row_log_losses
from avscene.records import BoolArray, FloatArray, IntArray
from avscene.tables.score_table import ScoreTable

FLIPS = 9_999  # with the observed one, 10,000 assignments of systems to groups
FLIPS_AT_A_TIME = 100  # so that memory does not grow with their number
ROUNDING = 1e-9  # sums of the same numbers in another order are as far from 0


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of one system minus that of another; no interval and no `p` where there are fewer than two groups."""

    value: float
    interval: Interval | None
    p: float | None

    def reversed(self) -> "Difference":
        """The same seen from the other system."""
        turned = None if self.interval is None else Interval(-self.interval.high, -self.interval.low)
        return Difference(0.0 - self.value, turned, self.p)


@dataclass(frozen=True, slots=True)
class PairOfSystems:
    """`first` against `second`: differences (first minus second) and shares of the rows.

    `both`, `only_first`, `only_second` and `neither` are right; `disagreement` is where their answers differ.
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
        """The accuracy of always taking the right one of the two answers: no choice between them is better."""
        return 1 - self.neither

    def reversed(self) -> "PairOfSystems":
        """The same with `second` first."""
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
    """Systems on the same `n` rows of so many `groups`; `best` is the one of least log loss.

    `pairs` are all unordered pairs in the order of the `systems`. `oracle` is the share of rows on which at least one
    system is right, with its `oracle_interval` (None where there are fewer than two groups).
    """

    n: int
    groups: int
    systems: tuple[str, ...]
    best: str
    pairs: tuple[PairOfSystems, ...]
    oracle: float
    oracle_interval: Interval | None

    def between(self, first: str, second: str) -> PairOfSystems:
        """The pair of two different systems, `first` first.

        Raises:
            KeyError: one of them is not compared here, or they are the same.
        """
        for pair in self.pairs:
            if (pair.first, pair.second) == (first, second):
                return pair
            if (pair.first, pair.second) == (second, first):
                return pair.reversed()
        raise KeyError(f"{first} and {second}")


def compare(tables: Mapping[str, ScoreTable]) -> Comparison:
    """Compare two or more systems by name, from tables of the same rows, labels, truth and groups in the same order.

    Intervals of differences are those of the paired cluster bootstrap: whole groups are drawn, and both systems are
    measured on the same draw (`resampling.group_draws`). `p` is two-sided and from the approximate randomisation test
    (Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses"): if the two systems were alike, either could
    have given the answers to any group, so both are exchanged in random groups, and `p` is the share of 10,000
    assignments, the observed one among them (Phipson & Smyth 2010), whose difference is at least as large. With g
    groups it is about 2 ** (1 - g) at the least. It is not corrected for the number of pairs.

    Raises:
        DataError: there are fewer than two tables, their rows differ, or they have no truth.
    """
    _refuse_different(tables)
    names, first = tuple(tables), next(iter(tables.values()))
    truth = first.truth_index
    losses = np.column_stack([row_log_losses(truth, table.probabilities) for table in tables.values()])
    answers = np.column_stack([table.probabilities.argmax(axis=1) for table in tables.values()])
    right = answers == truth[:, None]
    places = list(combinations(range(len(names)), 2))
    groups = group_indices(first.groups)
    changes = zip(*(_differences(values, places, *groups) for values in (losses, right)), strict=True)
    some = right.any(axis=1)
    return Comparison(
        n=len(first),
        groups=groups[0],
        systems=names,
        best=names[int(losses.mean(axis=0).argmin())],
        pairs=tuple(
            _pair((names[one], names[other]), change, right[:, [one, other]], answers[:, [one, other]])
            for (one, other), change in zip(places, changes, strict=True)
        ),
        oracle=float(some.mean()),
        oracle_interval=_interval(some, *groups),
    )


def _refuse_different(tables: Mapping[str, ScoreTable]) -> None:
    if len(tables) < 2:
        raise DataError("a comparison takes at least two tables")
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


def _pair(
    names: tuple[str, str], change: tuple[Difference, Difference], right: BoolArray, answers: IntArray
) -> PairOfSystems:
    """`right` and `answers` (n, 2) are those of the two; `change` is their difference in log loss and in accuracy."""
    one, other = right.T
    return PairOfSystems(
        *names,
        *change,
        both=float((one & other).mean()),
        only_first=float((one & ~other).mean()),
        only_second=float((other & ~one).mean()),
        neither=float((~one & ~other).mean()),
        disagreement=float((answers[:, 0] != answers[:, 1]).mean()),
    )


def _differences(
    values: FloatArray | BoolArray, places: list[tuple[int, int]], groups: int, place: IntArray
) -> list[Difference]:
    """Of the means of the columns `values` (n, systems), for every pair of columns."""
    first, second = np.array(places).T
    means = values.mean(axis=0)
    found = (means[first] - means[second]).tolist()
    if groups < 2:
        return [Difference(value, None, None) for value in found]
    sums = group_sums(place, values)
    changes = sums[:, first] - sums[:, second]
    intervals = mean_intervals(changes, np.bincount(place).astype(float))
    p = _flipped(changes)
    return [Difference(*line) for line in zip(found, intervals, p.tolist(), strict=True)]


def _interval(values: BoolArray, groups: int, place: IntArray) -> Interval | None:
    """Of the mean of `values` (n,)."""
    if groups < 2:
        return None
    (found,) = mean_intervals(group_sums(place, values[:, None]), np.bincount(place).astype(float))
    return found


def _flipped(changes: FloatArray) -> FloatArray:
    """(pairs,) two-sided p-values of the sums over groups of `changes` (groups, pairs), from signs drawn by group."""
    least = np.abs(changes.sum(axis=0)) - ROUNDING * np.abs(changes).sum(axis=0)
    random = np.random.default_rng(SEED)
    larger = np.ones(changes.shape[1])  # the observed assignment
    for start in range(0, FLIPS, FLIPS_AT_A_TIME):
        signs = random.integers(0, 2, (min(FLIPS_AT_A_TIME, FLIPS - start), len(changes)), np.int8) * 2.0 - 1
        larger += (np.abs(signs @ changes) >= least).sum(axis=0)
    return larger / (FLIPS + 1)
