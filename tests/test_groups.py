"""Test the assignment of groups to folds, and the check that no group is on two sides."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avscene.errors import DataError
from avscene.groups import Side, assign_folds, check_apart, shuffled_folds, validation_groups


@st.composite
def grouped(draw):
    """Draw rows in any order, each a (group, label); a group has one scene."""
    scenes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))  # groups of each scene
    rows = [
        (f"{scene}/{group}", str(scene))
        for scene, count in enumerate(scenes)
        for group in range(count)
        for _ in range(draw(st.integers(1, 3)))
    ]
    return draw(st.permutations(rows))


@given(grouped(), st.integers(2, 6))
def test_assigned_folds_keep_groups_whole_and_spread_every_scene(rows, n_folds: int) -> None:
    groups, labels = zip(*rows, strict=True)
    folds = assign_folds(groups, labels, n_folds)
    assert len(folds) == len(rows)
    assert set(folds) <= set(range(n_folds))
    fold_of = defaultdict(set)
    for group, fold in zip(groups, folds, strict=True):
        fold_of[group].add(fold)
    assert all(len(found) == 1 for found in fold_of.values())
    for label in set(labels):
        own = {group for group, scene in rows if scene == label}
        count_of = Counter(fold for group in own for fold in fold_of[group])
        counts = [count_of[fold] for fold in range(n_folds)]
        assert max(counts) - min(counts) <= 1
        assert len(count_of) == min(len(own), n_folds)


def test_scenes_with_one_group_each_take_different_folds() -> None:
    groups = [f"{scene}{group}" for scene in "abcd" for group in range(1)]
    assert sorted(assign_folds(groups, list("abcd"), 4)) == [0, 1, 2, 3]


def test_assigned_folds_are_the_same_at_every_call() -> None:
    groups, labels = list("ababcdc"), list("xxxxyyy")
    assert assign_folds(groups, labels, 3) == assign_folds(groups, labels, 3)


@given(st.integers(2, 8), st.integers(0, 5), st.randoms())
def test_shuffled_folds_keep_groups_whole_and_spread_scenes_in_any_order_of_rows(
    n_folds: int, seed: int, random
) -> None:
    groups = np.repeat([f"group-{group}" for group in range(24)], 2)
    truth = np.repeat(np.arange(24) % 3, 2)
    folds = shuffled_folds(groups, truth, n_folds, seed)
    assert set(folds) == set(range(n_folds))
    for group in set(groups):
        assert len(set(folds[groups == group])) == 1
    for scene in range(3):
        counts = np.bincount([folds[groups == group][0] for group in set(groups[truth == scene])], minlength=n_folds)
        assert counts.max() - counts.min() <= 1
    order = random.sample(range(len(groups)), len(groups))
    np.testing.assert_array_equal(shuffled_folds(groups[order], truth[order], n_folds, seed), folds[order])


def test_known_shuffled_folds() -> None:
    groups, truth = [f"g{group}" for group in range(9)], np.arange(9) % 3
    assert shuffled_folds(groups, truth, 3, 0).tolist() == [2, 2, 1, 1, 0, 0, 0, 1, 2]


@pytest.mark.parametrize("n_folds", [1, 10])
def test_too_few_groups_or_folds_are_refused(n_folds: int) -> None:
    with pytest.raises(DataError, match=rf"cannot split 9 group\(s\) into {n_folds} folds"):
        shuffled_folds([f"g{group}" for group in range(9)], np.zeros(9, int), n_folds, 0)


def test_every_fifth_group_of_a_scene_validates() -> None:
    groups = [f"{scene}{group}" for scene in "ab" for group in range(6)]
    scenes = [group[0] for group in groups]
    assert validation_groups(groups, scenes, 5) == {"a0", "a5", "b0", "b5"}
    with pytest.raises(DataError, match="scene 'b' has only 1 group to train on; at least 2 are needed"):
        validation_groups(groups[:7], scenes[:7], 5)


def test_a_group_on_two_sides_is_named_with_a_recording_of_each() -> None:
    first = Side("x.tsv", ("park-1", "tram-1"), ("1.wav", "2.wav"))
    check_apart(first, Side("y.tsv", ("park-2",)), "leave it out")
    message = r"^group 'park-1' is in both x\.tsv \(1\.wav\) and y\.tsv \(3\.wav\): leave it out$"
    with pytest.raises(DataError, match=message):
        check_apart(first, Side("y.tsv", ("tram-1", "park-1"), ("4.wav", "3.wav")), "leave it out")
    with pytest.raises(DataError, match=r"^recording 'tram-1' is in both x\.tsv \(2\.wav\) and y\.tsv: leave it out$"):
        check_apart(first, Side("y.tsv", ("tram-1",)), "leave it out", kind="recording")
