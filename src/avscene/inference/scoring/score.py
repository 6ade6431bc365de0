"""Score segments with the models of a system."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from avscene.features.batch import SegmentBatch
from avscene.inference.scoring.familiarity import model_shares
from avscene.inference.scoring.scored import ScoredSegment
from avscene.models import SceneModel
from avscene.records import Segment


def score_segments(models: Sequence[SceneModel], segments: Sequence[Segment]) -> list[ScoredSegment]:
    """Score segments together, and drop their frames and audio, which take memory."""
    if not segments:
        return []
    media = SegmentBatch.of(segments)
    by_model = [model.score(media) for model in models]
    return [
        ScoredSegment(
            replace(segment, frames=(), waveform=None),
            np.stack([scores.probabilities[row] for scores in by_model]),
            model_shares(by_model, row),
        )
        for row, segment in enumerate(segments)
    ]
