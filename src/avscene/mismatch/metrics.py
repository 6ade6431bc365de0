"""Judged pairs of sound and picture to figures: how many are called a mismatch, and how well they are told."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from avscene.errors import DataError
from avscene.evaluation.detection import f1, roc_auc
from avscene.mismatch.detector import Decision, MismatchDetector, log_agreement, pooled
from avscene.mismatch.pairs import PairedScores
from avscene.mismatch.swaps import swapped
from avscene.records import FloatArray

BY_LIST, BY_EXCHANGE = "the list", "exchanged sound"
SCORE, DIFFER, PRODUCT = "score", "labels that differ", "1 - sum p q"


def figures(paired: PairedScores, detector: MismatchDetector, *, pristine: bool) -> dict[str, Any]:
    """Of segments and of recordings: how many there are, have a verdict, are a mismatch; how well they are told.

    The right answers are those of a list of pairs. Of `pristine` pairs, which no list has put together, it is measured
    how well they are told from the same recordings, each with another one's sound; that takes the truth. Nothing is
    measured where groups are not known: the detector may have been fitted on them.
    """
    answered, source = _answered(paired, pristine=pristine)
    levels = {"segments": detector.segment, "recordings": detector.recording}
    found: dict[str, Any] = {}
    for level, decision in levels.items():
        whole = level == "recordings"
        scores = _scores(pooled(paired) if whole else paired, decision)
        said = scores[~np.isnan(scores)] >= decision.threshold
        found[level] = {"n": len(scores), "judged": len(said), "mismatched": int(said.sum())}
        known = None if answered is None else _told(pooled(answered) if whole else answered, decision)
        found[level]["known"] = known and {"answers": source, **known}
    return found


def _answered(paired: PairedScores, *, pristine: bool) -> tuple[PairedScores | None, str]:
    """Pairs of which it is known whether they are a mismatch, and from where."""
    if paired.groups is None:
        return None, ""
    if paired.pairs[0].mismatch is not None:
        return paired, BY_LIST
    if not pristine:
        return None, ""
    try:
        return _joined(paired, swapped(paired, sounds=1)), BY_EXCHANGE
    except DataError:
        return None, ""


def _joined(pristine: PairedScores, exchanged: PairedScores) -> PairedScores:
    starts = [part.starts for part in (pristine, exchanged) if part.starts is not None]
    return PairedScores(
        pristine.labels,
        (*(replace(pair, mismatch=False) for pair in pristine.pairs), *exchanged.pairs),
        np.concatenate([pristine.audio, exchanged.audio]),
        np.concatenate([pristine.video, exchanged.video]),
        starts=np.concatenate(starts) if starts else None,
    )


def _scores(paired: PairedScores, decision: Decision) -> FloatArray:
    return decision.score(paired.audio, paired.video)


def _told(paired: PairedScores, decision: Decision) -> dict[str, Any]:
    """Area under the curve and F1 of a decision, beside those of two that need no fitting."""
    truth = np.array([bool(pair.mismatch) for pair in paired.pairs])[paired.complete]
    audio, video = paired.audio[paired.complete], paired.video[paired.complete]
    score, differ = decision.score(audio, video), audio.argmax(axis=1) != video.argmax(axis=1)
    return {
        "mismatches": int(truth.sum()),
        "others": int((~truth).sum()),
        SCORE: {"AUC": _number(roc_auc(truth, score)), "F1": _number(f1(truth, score >= decision.threshold))},
        DIFFER: {"AUC": _number(roc_auc(truth, differ.astype(np.float64))), "F1": _number(f1(truth, differ))},
        PRODUCT: {"AUC": _number(roc_auc(truth, -log_agreement(audio, video)))},
    }


def _number(value: float) -> float | None:
    """None where there is nothing to tell: JSON has no NaN."""
    return None if math.isnan(value) else value
