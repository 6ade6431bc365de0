"""Comparison of systems: paired differences by group, and who is right where another is wrong."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.errors import DataError
from avscene.evaluation.comparison import Comparison, compare
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.labels import LabelSet
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable

PREDICTIONS = Path(__file__).parents[3] / "shared" / "predictions"
LABELS = LabelSet(("park", "tram", "bus"))


def system(seed: int, strength: float = 1.0, groups: int = 6, rows: int = 5) -> ScoreTable:
    """A table whose truth and groups are the same for every seed and strength."""
    truth = np.random.default_rng(0).integers(0, 3, groups * rows)
    random = np.random.default_rng(seed)
    odds = np.exp(random.normal(size=(len(truth), 3)) + strength * np.eye(3)[truth])
    return ScoreTable(
        LABELS,
        tuple(f"{at}.wav" for at in range(len(truth))),
        odds / odds.sum(axis=1, keepdims=True),
        groups=tuple(np.repeat([f"group {at}" for at in range(groups)], rows).tolist()),
        truth=tuple(LABELS.names[at] for at in truth),
    )


def rows_of(table: ScoreTable, order) -> ScoreTable:
    return replace(
        table,
        filenames=tuple(table.filenames[at] for at in order),
        probabilities=table.probabilities[order],
        groups=tuple(table.groups[at] for at in order),
        truth=tuple(table.truth[at] for at in order),
    )


def as_numbers(found: Comparison) -> np.ndarray:
    lines = [
        [
            *(
                number
                for change in (pair.log_loss, pair.accuracy)
                for number in (change.value, change.interval.low, change.interval.high, change.p)
            ),
            *(pair.both, pair.only_first, pair.only_second, pair.neither, pair.disagreement),
        ]
        for pair in found.pairs
    ]
    return np.array(lines)


def test_shares_of_rows_by_hand():
    top = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    truth = ("park", "park", "park", "park", "tram")
    first = ScoreTable(LABELS, tuple("12345"), top[[0, 0, 1, 1, 2]], truth=truth)
    second = replace(first, probabilities=top[[0, 2, 0, 2, 2]])
    found = compare({"a": first, "b": second})
    (pair,) = found.pairs
    assert (pair.both, pair.only_first, pair.only_second, pair.neither) == pytest.approx((0.2, 0.2, 0.2, 0.4))
    assert pair.disagreement == pytest.approx(0.6)
    assert (pair.oracle, found.oracle) == pytest.approx((0.6, 0.6))
    assert (pair.accuracy.value, pair.log_loss.value) == pytest.approx((0, 0))
    assert (pair.accuracy.p, pair.accuracy.interval, found.oracle_interval, found.groups) == (None, None, None, 0)


def test_p_approximates_the_exact_randomisation_test():
    """With six groups there are 64 assignments; random ones come within three standard errors of the exact share."""
    first, second = system(1, 1.3), system(2, 0.9)
    found = compare({"a": first, "b": second}).pairs[0]
    truth = first.truth_index
    for value, rows in (
        (found.log_loss, [-np.log(table.probabilities[np.arange(30), truth]) for table in (first, second)]),
        (found.accuracy, [table.probabilities.argmax(axis=1) == truth for table in (first, second)]),
    ):
        change = (rows[0].astype(float) - rows[1]).reshape(6, 5).sum(axis=1)
        sums = np.array([np.dot(signs, change) for signs in product((-1, 1), repeat=6)])
        share = (np.abs(sums) >= abs(change.sum()) - 1e-9).mean()
        assert value.p == pytest.approx(share, abs=3 * (share * (1 - share) / 9_999) ** 0.5 + 1e-4)
        assert value.value == pytest.approx(change.sum() / 30)


def test_intervals_are_those_of_paired_resamples_of_groups():
    first, second = system(1, 1.3), system(2, 0.9)
    losses = [-np.log(table.probabilities[np.arange(30), first.truth_index]) for table in (first, second)]
    change = (losses[0] - losses[1]).reshape(6, 5)
    drawn = np.random.default_rng(0).multinomial(6, [1 / 6] * 6, size=1000)
    changes = [change[np.repeat(np.arange(6), times)].mean() for times in drawn]
    found = compare({"a": first, "b": second}).pairs[0].log_loss.interval
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(changes, [0.025, 0.975])))


@given(st.integers(0, 1000), st.floats(0, 3), st.integers(2, 8))
@settings(max_examples=20)
def test_a_system_compared_with_itself_has_no_difference(seed, strength, groups):
    table = system(seed, strength, groups)
    (pair,) = compare({"a": table, "b": table}).pairs
    for change in (pair.log_loss, pair.accuracy):
        assert (change.value, change.p, change.interval.low, change.interval.high) == (0, 1, 0, 0)
    assert (pair.only_first, pair.only_second, pair.disagreement) == (0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(-1, 3)), min_size=2, max_size=4), st.integers(1, 6))
@settings(max_examples=20)
def test_shares_and_differences_agree_with_the_metrics(drawn, groups):
    tables = {str(at): system(seed, strength, groups) for at, (seed, strength) in enumerate(drawn)}
    found = compare(tables)
    truth = tables["0"].truth_index
    right = {name: accuracy(truth, table.probabilities) for name, table in tables.items()}
    losses = {name: log_loss(truth, table.probabilities) for name, table in tables.items()}
    assert losses[found.best] == min(losses.values())
    assert max(right.values()) - 1e-12 <= found.oracle <= 1
    assert max(pair.oracle for pair in found.pairs) <= found.oracle + 1e-12
    for pair in found.pairs:
        assert pair.both + pair.only_first + pair.only_second + pair.neither == pytest.approx(1)
        assert pair.both + pair.only_first == pytest.approx(right[pair.first])
        assert pair.accuracy.value == pytest.approx(pair.only_first - pair.only_second)
        assert pair.log_loss.value == pytest.approx(losses[pair.first] - losses[pair.second])
        assert pair.disagreement >= pair.only_first + pair.only_second - 1e-12
        assert (pair.log_loss.p is None) == (groups == 1)


@given(st.permutations(range(30)))
@settings(max_examples=15)
def test_the_order_of_rows_does_not_matter(order):
    tables = {"a": system(1, 1.3), "b": system(2, 0.9), "c": system(3, 0.0)}
    moved = {name: rows_of(table, list(order)) for name, table in tables.items()}
    np.testing.assert_allclose(as_numbers(compare(moved)), as_numbers(compare(tables)), atol=1e-12)


def test_a_pair_with_the_systems_exchanged():
    tables = {"a": system(1, 1.3), "b": system(2, 0.9)}
    found, exchanged = compare(tables), compare(dict(reversed(tables.items())))
    assert found.between("a", "b") == found.pairs[0]
    pair, expected = found.between("b", "a"), exchanged.pairs[0]
    assert (pair.first, pair.second, pair.only_first) == ("b", "a", expected.only_first)
    assert pair.log_loss.value == pytest.approx(expected.log_loss.value)
    assert pair.log_loss.interval.low == pytest.approx(expected.log_loss.interval.low)
    assert pair.log_loss.p == expected.log_loss.p
    with pytest.raises(KeyError):
        found.between("a", "a")


def test_a_clear_difference_is_significant_and_that_of_similar_systems_is_not():
    good, similar, poor = (system(seed, strength, groups=20) for seed, strength in ((1, 3.0), (2, 3.0), (3, 0.5)))
    found = compare({"good": good, "similar": similar, "poor": poor})
    worse = found.between("poor", "good")
    assert worse.log_loss.p < 0.001
    assert worse.log_loss.interval.low > 0
    assert found.between("similar", "good").log_loss.p > 0.05


TABLE = system(1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (rows_of(TABLE, list(range(29))), "b: its rows are not those of a"),
        (rows_of(TABLE, list(range(30))[::-1]), "b: its rows are not those of a, or not in the same order"),
        (replace(TABLE, starts=np.zeros(30)), "its rows"),
        (replace(TABLE, labels=LabelSet(("bus", "tram", "park"))), "its scenes"),
        (replace(TABLE, groups=None), "its groups"),
        (replace(TABLE, truth=("park",) * 30), "its true scenes"),
    ],
)
def test_tables_of_different_rows_are_refused(other, message):
    with pytest.raises(DataError, match=message):
        compare({"a": TABLE, "b": other})


def test_a_single_table_and_tables_without_truth_are_refused():
    with pytest.raises(DataError, match="at least two"):
        compare({"a": TABLE})
    bare = replace(TABLE, truth=None)
    with pytest.raises(DataError, match="no column 'true_label'"):
        compare({"a": bare, "b": bare})


@pytest.mark.skipif(not PREDICTIONS.is_dir(), reason=f"published predictions are not at {PREDICTIONS}")
def test_three_published_systems():
    names = ("early", "late", "mix")
    found = compare({name: read_table(PREDICTIONS / f"tau_{name}.tsv") for name in names})
    assert (found.n, found.groups, found.best) == (3645, 126, "late")
    assert found.oracle == pytest.approx(0.8697, abs=1e-4)
    assert found.between("early", "late").log_loss.p < 0.01
    assert found.between("mix", "late").log_loss.p > 0.3
