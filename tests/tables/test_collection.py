"""Several prediction tables: read under distinct names, and pooled if they are those of folds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import avscene
from avscene.errors import DataError, UsageError
from avscene.tables.collection import POOLED, read_one_table, read_tables
from avscene.tables.folds import FOLD_TABLE, pool_tables
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable
from tests.support.location_tables import location_table


def rows_of(table: ScoreTable, rows: range) -> ScoreTable:
    return replace(
        table,
        filenames=table.filenames[rows.start : rows.stop],
        probabilities=table.probabilities[rows.start : rows.stop],
        starts=table.starts[rows.start : rows.stop],
        groups=table.groups[rows.start : rows.stop],
        truth=table.truth[rows.start : rows.stop],
    )


WHOLE = location_table(1, 1.0)
FOLDS = {"one": rows_of(WHOLE, range(48)), "two": rows_of(WHOLE, range(48, 80))}


def test_pooled_folds_are_the_rows_of_all_with_the_name_of_their_table():
    pooled = pool_tables(FOLDS)
    assert (pooled.filenames, pooled.truth, pooled.groups) == (WHOLE.filenames, WHOLE.truth, WHOLE.groups)
    np.testing.assert_array_equal(pooled.probabilities, WHOLE.probabilities)
    np.testing.assert_array_equal(pooled.starts, WHOLE.starts)
    assert pooled.carried[FOLD_TABLE] == ("one",) * 48 + ("two",) * 32
    some = pool_tables({**FOLDS, "two": replace(FOLDS["two"], groups=None)})
    assert some.groups is None, "only one of them has groups"


def test_tables_of_folds_are_pooled_and_others_are_not():
    named = read_tables(list(FOLDS.values())).pool_folds()
    assert list(named.tables) == [POOLED]
    assert named.pooled == {POOLED: ("table 1", "table 2")}
    assert read_tables([WHOLE, FOLDS["one"]]).pool_folds().pooled == {}, "they share recordings"
    assert list(read_tables(FOLDS).pool_folds().tables) == ["one", "two"], "the user named them"
    moved = replace(FOLDS["one"], filenames=tuple(f"audio/{name}" for name in FOLDS["one"].filenames))
    assert read_tables([FOLDS["one"], moved]).pool_folds().pooled == {}, "the same recordings in another folder"
    mixed = read_tables({"mine": list(FOLDS.values()), "whole": WHOLE})
    assert (list(mixed.tables), mixed.pooled) == (["mine", "whole"], {"mine": ("table 1", "table 2")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"starts": None}, "only one of them has a column 'start'"),
        ({"labels_only": True}, "only one of them has probabilities"),
        ({"filenames": WHOLE.filenames[:32]}, "both have 'park-lisbon-0-1.mp4'"),
    ],
)
def test_tables_that_do_not_fit_cannot_be_pooled(change, message):
    with pytest.raises(DataError, match=f"one and two: cannot be pooled: {message}"):
        pool_tables({**FOLDS, "two": replace(FOLDS["two"], **change)})


def test_a_group_in_two_folds_is_a_warning(caplog):
    pool_tables({**FOLDS, "two": replace(FOLDS["two"], groups=("0",) * 32)})
    assert "both have group '0'; folds should share no group" in caplog.text


def test_paths_names_and_tables_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in "ab":
        Path(folder).mkdir()
        write_table(f"{folder}/p.tsv", WHOLE)
    assert list(read_tables(["a/p.tsv", Path("b/p.tsv")]).tables) == ["a", "b"]
    assert list(read_tables(["x=a/p.tsv", "b/p.tsv"]).tables) == ["x", "p.tsv"]
    assert list(read_tables("a/p.tsv").tables) == ["p.tsv"]
    assert list(read_tables([read_table("a/p.tsv"), read_table("b/p.tsv")]).tables) == ["a", "b"]
    assert read_one_table(WHOLE) is WHOLE
    assert read_one_table("x=a/p.tsv").source == str(Path("a/p.tsv"))


@pytest.mark.parametrize("wrong", [3, [3], {"a": 3}, None, [None], b"a.tsv"])
def test_something_else_is_refused(wrong):
    for function in (avscene.evaluate, avscene.fuse):
        with pytest.raises(UsageError, match="prediction tables are paths, PredictionTable objects"):
            function(wrong)
    with pytest.raises(UsageError, match="no prediction table is given"):
        avscene.evaluate([])
