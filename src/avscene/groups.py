"""Assign groups of recordings to folds, and check that no group is on two sides of a split.

Recordings of one group (a place, a session) resemble each other: weights fitted on some of them look better than they
are when they are evaluated on the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avscene.errors import DataError


def assign_folds(groups: Sequence[str], scenes: Iterable[str], n_folds: int) -> list[int]:
    """Return a fold in [0, n_folds) for each row; groups stay whole, those of a scene take the folds in turn.

    Groups are taken in the order of their first rows, and a group belongs to the scene of its first row. The first
    group of the i-th scene goes to fold i modulo `n_folds`.
    """
    fold_of: dict[str, int] = {}
    next_fold: dict[str, int] = {}  # by scene
    for group, scene in zip(groups, scenes, strict=True):
        if group not in fold_of:
            fold_of[group] = next_fold.get(scene, len(next_fold)) % n_folds
            next_fold[scene] = fold_of[group] + 1
    return [fold_of[group] for group in groups]


def shuffled_folds(
    groups: Sequence[str], truth: npt.NDArray[np.integer], n_folds: int, seed: int
) -> npt.NDArray[np.integer]:
    """Return a fold (n,) for each row; groups stay whole, those of a scene are shuffled and take the folds in turn.

    Args:
        groups: (n,) names. The folds depend on the names and the seed, not on the order of the rows.
        truth: (n,) scene indices; a group with several scenes belongs to the least.
        n_folds: number of folds.
        seed: another seed gives other folds.

    Raises:
        DataError: there are fewer groups than folds, or fewer than two folds.
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if not 2 <= n_folds <= len(names):
        raise DataError(
            f"cannot split {len(names)} group(s) into {n_folds} folds: at least 2, and a group for each, are needed"
        )
    scene = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(scene, group, truth)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    by_scene = shuffled[np.argsort(scene[shuffled], kind="stable")]
    fold = np.empty(len(names), dtype=np.int64)
    fold[by_scene] = np.arange(len(names)) % n_folds
    return np.asarray(fold[group])


def validation_groups(groups: Sequence[str], scenes: Sequence[str], every: int) -> set[str]:
    """Return the groups to validate on: of each scene the first group and every `every`-th after it.

    `groups` and `scenes` have an item for each row; a group belongs to the scene of its first row.

    Raises:
        DataError: a scene has fewer than two groups.
    """
    scene_of: dict[str, str] = {}
    for group, scene in zip(groups, scenes, strict=True):
        scene_of.setdefault(group, scene)
    chosen: set[str] = set()
    for scene in dict.fromkeys(scenes):
        members = [group for group, own in scene_of.items() if own == scene]
        if len(members) < 2:
            count = "1 group" if members else "no group"
            raise DataError(
                f"scene {scene!r} has only {count} to train on; at least 2 are needed, one to train on and one to "
                "validate on: add recordings from another place, or remove the scene"
            )
        chosen.update(members[::every])
    return chosen


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a split: what messages call it, the group of each row, and where known the recording of each row."""

    name: str
    groups: Sequence[str]
    recordings: Sequence[str] = ()

    def described(self, group: str) -> str:
        """Return the name of this side with its first recording of `group`."""
        if not self.recordings:
            return self.name
        return f"{self.name} ({self.recordings[self.groups.index(group)]})"


def check_apart(first: Side, second: Side, advice: str, kind: str = "group") -> None:
    """Make sure that two sides have no group in common.

    Args:
        first: one side.
        second: the other.
        advice: what the user can do; the end of the message.
        kind: what the message calls a group; `recording` where recordings are compared.

    Raises:
        DataError: a group is on both sides; the message names it and a recording of it on each side.
    """
    if shared := set(first.groups) & set(second.groups):
        group = min(shared)
        raise DataError(f"{kind} {group!r} is in both {first.described(group)} and {second.described(group)}: {advice}")
