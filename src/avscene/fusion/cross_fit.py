"""Cross-fit a fusion: fuse each row by weights that were fitted on other groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avscene.errors import DataError
from avscene.evaluation.metrics import log_loss
from avscene.fusion.rules import ScoresByModel
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion, Layout, fit_fusion
from avscene.groups import shuffled_folds
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray

CROSS_FIT_REPEATS = 5  # one assignment of groups to folds moves a log loss by more than rules differ
Stages = dict[str, FloatArray]  # probabilities (n, n_scenes) after the rule and after each step (`apply_stages`)


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """Out-of-fold probabilities by CROSS_FIT_REPEATS assignments of the groups to folds; `losses` are their log losses.

    They are not averaged: the mean of several fits is better than each of them, and the weights that are stored are
    those of one fit. `stages` are of the assignment whose log loss after the last step is nearest to the mean.
    """

    stages: Stages
    losses: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, repeats: Sequence[Stages], truth: IntArray) -> "CrossFitted":
        """Return the representative assignment of `repeats`, and the log losses (over the scored rows) of all."""
        losses = {stage: tuple(_log_loss(truth, repeat[stage]) for repeat in repeats) for stage in repeats[0]}
        last = np.array(list(losses.values())[-1])
        return cls(repeats[int(np.abs(last - last.mean()).argmin())], losses)


def cross_fit(
    layout: Layout,
    scores: ScoresByModel,
    truth: IntArray,
    groups: Sequence[str],
    labels: LabelSet,
    n_folds: int,
    times: Times | None = None,
) -> CrossFitted:
    """Return out-of-fold probabilities, for CROSS_FIT_REPEATS assignments of the groups to folds.

    The groups are assigned to `n_folds` folds; the layout is fitted on all folds but one and applied to that one. The
    assignments depend on the names of the groups, not on the order of the rows.

    Args:
        layout: what to fuse.
        scores: probabilities (n, n_scenes) of every model by its name.
        truth: (n,) scene indices.
        groups: (n,) the group of each row.
        labels: the scenes in the order of the columns.
        n_folds: number of folds.
        times: recordings and starts of the rows; only smoothing needs them.

    Raises:
        DataError: there are fewer groups than folds, or the rows to fit on are of one scene.
    """
    repeats: list[Stages] = []
    for repeat in range(CROSS_FIT_REPEATS):
        folds = shuffled_folds(groups, truth, n_folds, repeat)
        stages: Stages = {}
        for fold in range(n_folds):
            inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
            fusion = fit_on_rows(layout, scores, truth, groups, labels, times, outside)
            fused = apply_stages(fusion, _select_scores(scores, inside), labels, _select_times(times, inside))
            for stage, values in fused.items():
                stages.setdefault(stage, np.empty((len(truth), len(labels))))[inside] = values
        repeats.append(stages)
    return CrossFitted.of(repeats, truth)


def fit_on_rows(
    layout: Layout,
    scores: ScoresByModel,
    truth: IntArray,
    groups: Sequence[str],
    labels: LabelSet,
    times: Times | None,
    rows: IntArray,
) -> Fusion:
    """Return the layout fitted on `rows` only; the other arguments are those of `cross_fit`.

    Raises:
        DataError: the rows are of one scene.
    """
    if len(np.unique(truth[rows])) < 2:
        scene = labels.names[int(truth[rows[0]])]
        raise DataError(f"all {len(rows)} rows to fit weights on are of one scene ({scene}): at least 2 are needed")
    row_groups = [groups[row] for row in rows]
    return fit_fusion(
        layout, _select_scores(scores, rows), truth[rows], labels, _select_times(times, rows), groups=row_groups
    )


def apply_stages(fusion: Fusion, scores: ScoresByModel, labels: LabelSet, times: Times | None) -> Stages:
    """Return the probabilities (n, n_scenes) after the rule and after each step, by names like `mean + power`."""
    rule = fusion.rule.kind if fusion.rule is not None else "as it is"
    stages = {}
    for count in range(len(fusion.steps) + 1):
        name = " + ".join([rule, *(step.kind for step in fusion.steps[:count])])
        partial = fusion.model_copy(update={"steps": fusion.steps[:count]})
        stages[name] = partial.apply(scores, labels, times)
    return stages


def _select_scores(scores: ScoresByModel, rows: IntArray) -> dict[str, FloatArray]:
    return {name: values[rows] for name, values in scores.items()}


def _select_times(times: Times | None, rows: IntArray) -> Times | None:
    return None if times is None else Times([times.recordings[row] for row in rows], times.starts[rows])


def _log_loss(truth: IntArray, probabilities: FloatArray) -> float:
    scored = ~np.isnan(probabilities[:, 0])
    return log_loss(truth[scored], probabilities[scored])
