"""Collect how familiar the segments of a recording are to the models of a system."""

from collections.abc import Sequence

import numpy as np

from avscene.familiarity.combination import combine_shares
from avscene.inference.scoring.scored import ScoredSegment
from avscene.models import SceneModel
from avscene.records import BoolArray, FloatArray, SceneProbabilities, SegmentPrediction
from avscene.verdicts import Familiarity


def model_shares(by_model: Sequence[SceneProbabilities], row: int) -> FloatArray | None:
    """Return the familiarity (n_models,) of a segment, NaN to models that do not measure it; None if none does."""
    if all(scores.familiarity is None for scores in by_model):
        return None
    return np.array([np.nan if scores.familiarity is None else scores.familiarity[row] for scores in by_model])


def segment_familiarity(models: Sequence[SceneModel], scored: Sequence[ScoredSegment]) -> list[Familiarity | None]:
    """Return the familiarity of each segment to the `models` together; None if none of them measures it."""
    measured = [item.familiarity for item in scored if item.familiarity is not None]
    if len(measured) < len(scored):
        return [None] * len(scored)
    combined = combine_shares(np.stack(measured, axis=1), [model.needs for model in models])
    return [
        Familiarity(
            float(share),
            {model.name: float(own) for model, own in zip(models, by_model, strict=True) if not np.isnan(own)},
        )
        for share, by_model in zip(combined, measured, strict=True)
    ]


def unfamiliar_rows(familiarity: Sequence[Familiarity | None], is_scored: BoolArray) -> BoolArray:
    """Return whether each segment (n,) is unfamiliar; all are if more than half of the scored ones are.

    Models disagree on other scenes: that says nothing of whether audio and video belong together.
    """
    unfamiliar = np.array([found is not None and not found.familiar for found in familiarity])
    return np.asarray(unfamiliar | (unfamiliar[is_scored].mean() > 0.5))


def recording_familiarity(segments: Sequence[SegmentPrediction]) -> Familiarity | None:
    """Return the median familiarity of segments, so that a recording is familiar if half of them are."""
    scores = sorted(segment.familiarity.score for segment in segments if segment.familiarity is not None)
    return Familiarity(scores[len(scores) // 2]) if scores else None
