"""Compute the metrics of a mismatch detector: how many pairs it calls a mismatch, ROC AUC and F1."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from avscene.errors import DataError
from avscene.evaluation.detection import f1, roc_auc
from avscene.mismatch.cross_fit import CrossFittedDetector
from avscene.mismatch.detector import (
    Assessment,
    Level,
    MismatchClassifier,
    MismatchDetector,
    log_agreement,
    pool_recordings,
)
from avscene.mismatch.pairs import PairedScores
from avscene.mismatch.swaps import swap_audio

BY_LIST, BY_SWAPS = "the list", "swapped audio"  # where the truth of a test comes from
# Keys in JSON: the detector, and the baselines "top labels differ" and "1 - sum_c p_c q_c".
SCORE, DIFFER, PRODUCT = "score", "labels that differ", "1 - sum p q"


def mismatch_metrics(
    paired: PairedScores,
    detector: MismatchDetector,
    prior: float,
    *,
    pristine: bool,
    cross_fitted: CrossFittedDetector | None = None,
) -> dict[str, Any]:
    """Return the metrics of segments and of recordings as plain values.

    Keys of each: `n`, `judged` (pairs with both modalities), `mismatched` (pairs called a mismatch for `prior`),
    `prior`, `threshold` of the score, `false_alarms` (expected of a hundred intact pairs), and `known`, the metrics of
    a test, or None without one. F1 is that of verdicts for a prior of one half, as in such a test; `found` and `false`
    are counts of mismatched and of intact pairs that are called a mismatch for `prior`.

    If a list says which pairs are a mismatch, they are the test. Otherwise `pristine` pairs, which are not from a list,
    are tested against the same recordings with swapped audio; that needs true scenes. Without groups there is no test:
    the detector may have been fitted on them.

    With `cross_fitted`, its detectors give scores and verdicts; `threshold` and `false_alarms` are those of `detector`.
    """
    judge = detector if cross_fitted is None else cross_fitted
    test, source = _test_pairs(paired, pristine=pristine)
    metrics: dict[str, Any] = {}
    levels: tuple[tuple[Level, MismatchClassifier], ...] = (
        ("segments", detector.segment),
        ("recordings", detector.recording),
    )
    for level, classifier in levels:
        is_recording = level == "recordings"
        rows = pool_recordings(paired) if is_recording else paired
        assessed = judge.assess(rows, level)
        judged = ~np.isnan(assessed.log_odds)
        known = None
        if test is not None:
            test_rows = pool_recordings(test) if is_recording else test
            known = {"answers": source, **_test_metrics(test_rows, judge.assess(test_rows, level), prior)}
        metrics[level] = {
            "n": len(judged),
            "judged": int(judged.sum()),
            "mismatched": int(assessed.verdicts(prior).sum()),
            "prior": prior,
            "threshold": classifier.threshold,
            "false_alarms": classifier.false_alarms(prior),
            "known": known,
        }
    return metrics


def _test_pairs(paired: PairedScores, *, pristine: bool) -> tuple[PairedScores | None, str]:
    """Pairs with known mismatches, and where that is known from."""
    if paired.groups is None:
        return None, ""
    if paired.pairs[0].mismatch is not None:
        return paired, BY_LIST
    if not pristine:
        return None, ""
    try:
        return _join(paired, swap_audio(paired, swaps=1)), BY_SWAPS
    except DataError:
        return None, ""


def _join(pristine: PairedScores, swapped: PairedScores) -> PairedScores:
    starts = [part.starts for part in (pristine, swapped) if part.starts is not None]
    return PairedScores(
        pristine.labels,
        (*(replace(pair, mismatch=False) for pair in pristine.pairs), *swapped.pairs),
        np.concatenate([pristine.audio, swapped.audio]),
        np.concatenate([pristine.video, swapped.video]),
        starts=np.concatenate(starts) if starts else None,
        groups=(*(pristine.groups or ()), *(swapped.groups or ())) or None,
        audio_groups=(*(pristine.audio_groups or ()), *(swapped.audio_groups or ())) or None,
    )


def _test_metrics(paired: PairedScores, assessed: Assessment, prior: float) -> dict[str, Any]:
    """ROC AUC and F1 of a detector and of two baselines that need no fitting."""
    truth = np.array([bool(pair.mismatch) for pair in paired.pairs])[paired.complete]
    audio, video = paired.audio[paired.complete], paired.video[paired.complete]
    score, differ = assessed.scores()[paired.complete], audio.argmax(axis=1) != video.argmax(axis=1)
    called = assessed.verdicts(prior)[paired.complete]
    return {
        "mismatches": int(truth.sum()),
        "others": int((~truth).sum()),
        "found": int(called[truth].sum()),
        "false": int(called[~truth].sum()),
        SCORE: {
            "AUC": _none_for_nan(roc_auc(truth, score)),
            "F1": _none_for_nan(f1(truth, assessed.verdicts()[paired.complete])),
        },
        DIFFER: {
            "AUC": _none_for_nan(roc_auc(truth, differ.astype(np.float64))),
            "F1": _none_for_nan(f1(truth, differ)),
        },
        PRODUCT: {"AUC": _none_for_nan(roc_auc(truth, -log_agreement(audio, video)))},
    }


def _none_for_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
