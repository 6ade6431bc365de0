"""A layout and scores to fused scores by weights that were fitted on other groups than those they are applied to."""

from collections.abc import Mapping, Sequence

import numpy as np

from avscene.errors import DataError
from avscene.fusion.ensemble import normalised
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion, Layout, fit_fusion
from avscene.groups import shuffled_folds
from avscene.labels import LabelSet
from avscene.records import FloatArray, IntArray

CROSS_FIT_REPEATS = 5  # of folds: with one, where the groups happen to fall moves a log loss by more than rules differ


def cross_fit(
    layout: Layout,
    scores: Mapping[str, FloatArray],
    truth: IntArray,
    groups: Sequence[str],
    labels: LabelSet,
    n_folds: int,
    times: Times | None = None,
) -> dict[str, FloatArray]:
    """Fuse every row by weights that its group had no part in: the stages' probabilities (n, n_scenes), by their names.

    The groups are dealt into `n_folds` folds, the layout is fitted on all folds but one and applied to that one; the
    mean over CROSS_FIT_REPEATS such deals is taken. What is drawn depends on the names of the groups alone, not on the
    order of the rows. `scores` are (n, n_scenes) by model, `truth` (n,) are scene indices, `groups` (n,) names.

    Raises:
        DataError: there are fewer groups than folds, or the rows are of one scene.
    """
    sums: dict[str, FloatArray] = {}
    for draw in range(CROSS_FIT_REPEATS):
        folds = shuffled_folds(groups, truth, n_folds, draw)
        stages: dict[str, FloatArray] = {}
        for fold in range(n_folds):
            fitting, judged = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            fusion = fit_on(layout, scores, truth, groups, labels, times, fitting)
            for stage, values in apply_stages(fusion, _taken(scores, judged), labels, _at(times, judged)).items():
                stages.setdefault(stage, np.empty((len(truth), len(labels))))[judged] = values
        for stage, values in stages.items():
            sums[stage] = sums.get(stage, 0) + values
    return {stage: normalised(values) for stage, values in sums.items()}


def fit_on(
    layout: Layout,
    scores: Mapping[str, FloatArray],
    truth: IntArray,
    groups: Sequence[str],
    labels: LabelSet,
    times: Times | None,
    rows: IntArray,
) -> Fusion:
    """The layout fitted on `rows` alone.

    Raises:
        DataError: the rows are of one scene.
    """
    if len(np.unique(truth[rows])) < 2:
        scene = labels.names[int(truth[rows[0]])]
        raise DataError(f"all {len(rows)} rows to fit weights on are of one scene ({scene}); they tell nothing apart")
    chosen = [groups[row] for row in rows]
    return fit_fusion(layout, _taken(scores, rows), truth[rows], labels, _at(times, rows), groups=chosen)


def apply_stages(
    fusion: Fusion, scores: Mapping[str, FloatArray], labels: LabelSet, times: Times | None
) -> dict[str, FloatArray]:
    """What a fusion says (n, n_scenes) after its rule and after each of its steps, by what was done so far."""
    rule = fusion.rule.kind if fusion.rule is not None else "as it is"
    stages = {}
    for count in range(len(fusion.steps) + 1):
        name = " + ".join([rule, *(step.kind for step in fusion.steps[:count])])
        partial = fusion.model_copy(update={"steps": fusion.steps[:count]})
        stages[name] = partial.apply(scores, labels, times)
    return stages


def _taken(scores: Mapping[str, FloatArray], rows: IntArray) -> dict[str, FloatArray]:
    return {name: values[rows] for name, values in scores.items()}


def _at(times: Times | None, rows: IntArray) -> Times | None:
    return None if times is None else Times([times.recordings[row] for row in rows], times.starts[rows])
