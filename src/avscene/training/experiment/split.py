"""Which rows of a store are trained on, which are for choosing and fitting, which for measuring."""

from dataclasses import dataclass

import numpy as np

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError
from avscene.groups import validation_groups
from avscene.records import IntArray

VALIDATION_SHARE = 5  # the first of every so many groups of a scene validates


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows of a store: to train on, to choose and fit on, to measure on. No group is in two of them."""

    train: IntArray
    validation: IntArray
    test: IntArray

    @classmethod
    def of(cls, store: SegmentStore, holdout: str | None) -> "Split":
        """Test is what meets the condition `holdout`; a fifth of the groups of each scene of the rest is validation.

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
                f"{store.data.source}: scene {unknown[0]!r} is only in what {holdout} holds out; nobody could learn it"
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
