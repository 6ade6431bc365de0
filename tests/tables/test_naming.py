"""Names of prediction tables: the part of their paths that differs, or what the user calls them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avscene.errors import UsageError
from avscene.tables.naming import distinguishing_names, split_name


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["deep/down/scores.tsv"], ["scores.tsv"]),
        (["x/audio.tsv", "y/video.tsv"], ["audio.tsv", "video.tsv"]),
        (["runs/a/predictions.tsv", "runs/b/predictions.tsv"], ["a", "b"]),
        (["/runs/a/v1/p.tsv", "/runs/b/v1/p.tsv", "/runs/c/v1/p.tsv"], ["a", "b", "c"]),
        (["a/1.tsv", "a/2.tsv", "b/1.tsv"], ["a/1.tsv", "a/2.tsv", "b/1.tsv"]),
        (["p.tsv", "old/p.tsv"], ["p.tsv", "old/p.tsv"]),
        (["../p.tsv", "p.tsv"], ["../p.tsv", "p.tsv"]),
        (["table 1", "table 2"], ["table 1", "table 2"]),
        ([], []),
    ],
)
def test_the_shortest_part_that_differs_is_the_name(paths, names):
    assert distinguishing_names(paths) == names


PARTS = st.sampled_from("abc")
PATHS = st.lists(st.lists(PARTS, min_size=1, max_size=4).map("/".join), unique=True, max_size=6)


@given(PATHS)
def test_names_are_distinct_parts_of_their_paths(paths):
    names = distinguishing_names(paths)
    assert len(set(names)) == len(paths)
    assert all(f"/{name}/" in f"/{path}/" for name, path in zip(names, paths, strict=True))


def test_a_path_given_twice_is_refused():
    with pytest.raises(UsageError, match=r"a\.tsv: is given twice"):
        distinguishing_names(["a.tsv", "b.tsv", "a.tsv"])


def test_a_name_before_an_equals_sign_is_the_users(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert split_name("late=runs/b/p.tsv") == ("late", Path("runs/b/p.tsv"))
    assert split_name("a=b=c.tsv") == ("a", Path("b=c.tsv"))
    for path in ("runs/lr=0.1/p.tsv", "p.tsv", "/x=1/p.tsv"):
        assert split_name(path) == (None, Path(path))
    Path("lr=0.1.tsv").touch()
    assert split_name("lr=0.1.tsv") == (None, Path("lr=0.1.tsv")), "a file that exists"
