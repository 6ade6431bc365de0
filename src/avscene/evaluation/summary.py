"""Summarise a prediction table: log loss and accuracy with intervals, the chance level and the most frequent errors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avscene.evaluation.bootstrap import Interval, group_indices, group_sums, mean_intervals
from avscene.evaluation.metrics import accuracy, confusion, log_loss, row_log_losses
from avscene.tables.score_table import ScoreTable

N_ERRORS = 3


class Confusion(NamedTuple):
    """Rows of scene `true` that were predicted as another scene: `rows` of all `n` rows of the scene."""

    true: str
    predicted: str
    rows: int
    n: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Metrics of a table over `n` rows in `groups` groups.

    `intervals` has those of `log_loss` and `accuracy`, none with fewer than two groups. `chance_log_loss` is that of
    equal probabilities, `chance_accuracy` that of always predicting the most frequent scene. `errors` are the most
    frequent ones, at most N_ERRORS.
    """

    n: int
    groups: int
    log_loss: float
    accuracy: float
    intervals: Mapping[str, Interval]
    chance_log_loss: float
    chance_accuracy: float
    errors: tuple[Confusion, ...]


def summarise(table: ScoreTable) -> Summary:
    """Summarise a table with true scenes.

    Raises:
        DataError: the table has no truth.
    """
    truth, probabilities = table.truth_index, table.probabilities
    n_groups, group = group_indices(table.groups)
    intervals: dict[str, Interval] = {}
    if n_groups > 1:
        hits = probabilities.argmax(axis=1) == truth
        sums = group_sums(group, np.column_stack([row_log_losses(truth, probabilities), hits]))
        found = mean_intervals(sums, np.bincount(group).astype(float))
        intervals = dict(zip(("log_loss", "accuracy"), found, strict=True))
    return Summary(
        n=len(table),
        groups=len(set(table.groups or ())),
        log_loss=log_loss(truth, probabilities),
        accuracy=accuracy(truth, probabilities),
        intervals=intervals,
        chance_log_loss=math.log(len(table.labels)),
        chance_accuracy=float(np.bincount(truth).max() / len(truth)),
        errors=_frequent_errors(table),
    )


def _frequent_errors(table: ScoreTable) -> tuple[Confusion, ...]:
    counts, names = confusion(table.truth_index, table.probabilities), table.labels.names
    errors = counts - np.diag(counts.diagonal())
    found = [divmod(int(cell), len(names)) for cell in np.argsort(-errors, axis=None, kind="stable")[:N_ERRORS]]
    return tuple(
        Confusion(names[true], names[predicted], int(errors[true, predicted]), int(counts[true].sum()))
        for true, predicted in found
        if errors[true, predicted]
    )
