"""Split the rows of a store by group into training, validation and test."""

from dataclasses import dataclass

import numpy as np

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.groups import validation_groups
from avscene.records import IntArray

VALIDATION_SHARE = 5  # one in five groups of a scene is for validation


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows of a store to train on, to choose and fit on (validation), and to measure on. No group is in two of them."""

    train: IntArray
    validation: IntArray
    test: IntArray

    @classmethod
    def of(cls, store: SegmentStore, holdout: str | None) -> "Split":
        """Split by the condition `holdout` for the test rows; a fifth of each scene's other groups is for validation.

        Raises:
            DataError: a group is on both sides of `holdout`, or a scene has fewer than two groups to train on.
        """
        rest = np.arange(len(store))
        test = rest[:0]
        if holdout is not None:
            store.data.hold_out(holdout)
            test = store.rows(holdout)
            rest = np.setdiff1d(rest, test)
        known = {store.examples[row].label for row in rest}
        if unknown := sorted({store.examples[row].label for row in test} - known):
            raise DataError(
                f"{store.data.source}: scene {unknown[0]!r} is only in what {holdout} holds out; "
                "no system can be trained for it"
            )
        examples = [store.examples[row] for row in rest]
        try:
            chosen = validation_groups(
                [example.group for example in examples], [example.label for example in examples], VALIDATION_SHARE
            )
        except DataError as error:
            raise DataError(f"{store.data.source}: {error}") from error
        validates = np.array([store.examples[row].group in chosen for row in rest])
        return cls(rest[~validates], rest[validates], test)
