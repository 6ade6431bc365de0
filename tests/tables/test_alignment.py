"""Tables of several systems are matched by name and start; tables that do not fit are refused."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.tables.alignment import align
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import ScoreTable

PREDICTIONS = Path(__file__).parents[3] / "shared" / "predictions"
LABELS = LabelSet(("bus", "park", "tram"))


def table(filenames: Sequence[str] = ("a", "b", "c"), seed: int = 0, **parts: object) -> ScoreTable:
    values = np.random.default_rng(seed).dirichlet(np.ones(len(LABELS)), len(filenames))
    return ScoreTable(**({"labels": LABELS, "filenames": tuple(filenames), "probabilities": values} | parts))


def shuffled(table: ScoreTable, rows: Sequence[int], columns: Sequence[int]) -> ScoreTable:
    return replace(
        table,
        labels=LabelSet(tuple(table.labels.names[column] for column in columns)),
        filenames=tuple(table.filenames[row] for row in rows),
        probabilities=table.probabilities[np.ix_(rows, columns)],
        starts=None if table.starts is None else table.starts[list(rows)],
        groups=None if table.groups is None else tuple(table.groups[row] for row in rows),
        truth=None if table.truth is None else tuple(table.truth[row] for row in rows),
    )


def assert_same(one: ScoreTable, other: ScoreTable) -> None:
    np.testing.assert_array_equal(one.probabilities, other.probabilities)
    np.testing.assert_array_equal(one.starts, other.starts)
    for part in ("labels", "filenames", "groups", "truth", "source", "resolution"):
        assert getattr(one, part) == getattr(other, part)


@given(st.data())
def test_the_order_of_rows_columns_and_tables_does_not_matter(data):
    names = data.draw(st.lists(st.sampled_from("abcdefg"), min_size=3, max_size=7))
    starts = np.array([float(names[:row].count(name)) for row, name in enumerate(names)])
    one = table(names, starts=starts, truth=tuple(data.draw(st.sampled_from(LABELS.names)) for _ in names), source="1")
    two = table(names, seed=1, starts=starts, groups=tuple(f"group of {name}" for name in names), source="2")
    before = align({"one": one, "two": two})
    rows, columns = st.permutations(range(len(names))), st.permutations(range(len(LABELS)))
    mixed = {
        "two": shuffled(two, data.draw(rows), data.draw(columns)),
        "one": shuffled(one, data.draw(rows), data.draw(columns)),
    }
    after = align(mixed)
    assert before.left_out == after.left_out == ()
    for name in ("one", "two"):
        assert_same(before.tables[name], after.tables[name])


def test_rows_keep_their_probabilities():
    one, two = table("cab", seed=1), table("dbca", seed=2)
    aligned = align({"one.tsv": one, "two.tsv": two})
    assert aligned.left_out == ("two.tsv: 1 of 4 rows are not in every other table; the first is 'd'",)
    for before, after in ((one, aligned.tables["one.tsv"]), (two, aligned.tables["two.tsv"])):
        assert after.filenames == ("a", "b", "c")
        for name, row in zip(after.filenames, after.probabilities, strict=True):
            np.testing.assert_array_equal(row, before.probabilities[before.filenames.index(name)])


def test_truth_and_groups_of_one_table_are_given_to_all():
    one = table("ab", truth=("bus", "park"))
    two = table("ba", groups=("1", "2"))
    for found in align({"one": one, "two": two}).tables.values():
        assert (found.truth, found.groups) == (("bus", "park"), ("2", "1"))
    assert align({"one": table("ab")}).tables["one"].truth is None


def test_names_are_compared_without_folders_and_endings_if_they_differ_as_written():
    one, two = table(("audio/x.wav", "audio/y.wav")), table((r"video\y.mp4", "x"), seed=1)
    found = align({"one": one, "two": two}).tables
    assert found["one"].filenames == found["two"].filenames == ("audio/x.wav", "audio/y.wav")
    np.testing.assert_array_equal(found["two"].probabilities, two.probabilities[::-1])
    ambiguous = table(("x.wav", "x.mp4"), seed=2)
    with pytest.raises(DataError, match=r"no row in common; the first are 'audio/x\.wav' in one, 'x\.mp4' in three"):
        align({"one": one, "three": ambiguous})


def test_names_are_compared_as_written_first():
    """Files with one name in different folders are different recordings."""
    one, two = table(("park/1.wav", "tram/2.wav")), table(("park/1.wav", "bus/2.wav"))
    found = align({"one": one, "two": two})
    assert found.tables["one"].filenames == ("park/1.wav",)
    assert len(found.left_out) == 2


def test_starts_agree_to_a_millisecond():
    one = table("aa", starts=np.array([0, 1 / 3]))
    two = table("aa", starts=np.array([0.333, 0]), seed=1)
    found = align({"one": one, "two": two}).tables
    np.testing.assert_array_equal(found["two"].starts, one.starts)
    np.testing.assert_array_equal(found["two"].probabilities, two.probabilities[::-1])


def test_one_row_per_file_needs_no_starts():
    one, two = table("ab", starts=np.array([0.5, 0])), table("ba")
    assert align({"one": one, "two": two}).tables["one"].starts is None


REFUSED = {
    "scenes": (
        {"a.tsv": table(), "b.tsv": table(labels=LabelSet(("bus", "zoo", "tram")))},
        "a.tsv and b.tsv have different scenes: only a.tsv has park; only b.tsv has zoo",
    ),
    "fewer scenes": (
        {"a.tsv": table(), "b.tsv": table(labels=LabelSet(("bus", "tram")), probabilities=np.full((3, 2), 0.5))},
        "a.tsv and b.tsv have different scenes: only a.tsv has park",
    ),
    "rows": (
        {"a.tsv": table("ab"), "b.tsv": table("cd")},
        "the tables have no row in common; the first are 'a' in a.tsv, 'c' in b.tsv",
    ),
    "truth": (
        {"a.tsv": table("ab", truth=("bus", "park")), "b.tsv": table("ba", truth=("tram", "bus"))},
        "b.tsv: the true scene of 'b' is 'tram', but 'park' in a.tsv",
    ),
    "groups": (
        {"a.tsv": table("ab", groups=("1", "2")), "b.tsv": table("ba", groups=("2", "3"))},
        "b.tsv: the group of 'a' is '3', but '1' in a.tsv",
    ),
    "starts": (
        {"a.tsv": table("aab", starts=np.arange(3.0)), "b.tsv": table("ab")},
        "a.tsv: has several rows of 'a', and b.tsv has no column 'start' to match them by",
    ),
    "twice": (
        {"a.tsv": table("ab"), "b.tsv": table("abb")},
        "b.tsv: has several rows of 'b', and b.tsv has no column 'start'",
    ),
    "twice at one start": (
        {"a.tsv": table("aa", starts=np.array([1, 1.0001]))},
        "a.tsv: has two rows of 'a' at 1 s",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_tables_that_do_not_fit_are_refused(kind):
    tables, message = REFUSED[kind]
    with pytest.raises(DataError) as caught:
        align(tables)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not PREDICTIONS.is_dir(), reason=f"published predictions are not at {PREDICTIONS}")
def test_published_predictions_are_aligned():
    tables = {name: read_table(PREDICTIONS / f"tau_{name}.tsv") for name in ("early", "late", "mix")}
    found = align(tables)
    assert found.left_out == ()
    for name, before in tables.items():
        after = found.tables[name]
        assert len(after) == 3645
        assert after.resolution == before.resolution == 0.001
        rows = {filename: row for row, filename in enumerate(before.filenames)}
        np.testing.assert_array_equal(
            after.probabilities, before.probabilities[[rows[filename] for filename in after.filenames]]
        )
