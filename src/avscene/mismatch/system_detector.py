"""Fit the mismatch detector of a system on predictions of its models for rows that they were not trained on."""

from collections.abc import Mapping, Sequence

import numpy as np

from avscene.errors import DataError
from avscene.fusion.rules import ScoresByModel
from avscene.labels import LabelSet
from avscene.mismatch.detector import MismatchDetector, mean_by_modality
from avscene.mismatch.pairs import PairedScores, RecordingPair
from avscene.records import FloatArray, IntArray, Needs


def fit_system_detector(
    labels: LabelSet,
    predictions: ScoresByModel,
    needs: Mapping[str, Needs],
    *,
    recordings: Sequence[str],
    groups: Sequence[str],
    starts: FloatArray,
    truth: IntArray,
) -> MismatchDetector | None:
    """Fit the detector of a system of audio and video models; None if it cannot be fitted.

    That is if the system has no model of audio only or none of video only, or if no recording with both modalities has
    another one of another scene and group.

    Args:
        labels: the scenes in the order of the columns.
        predictions: probabilities (n, n_scenes) of every model by its name; NaN rows where it did not score.
        needs: the modalities that each model needs.
        recordings: (n,) name of each row's recording.
        groups: (n,) group of each row.
        starts: (n,) seconds.
        truth: (n,) scene indices.
    """
    audio, video = mean_by_modality(predictions, needs)
    if audio is None or video is None:
        return None
    pairs = tuple(RecordingPair(name, name) for name in recordings)
    paired = PairedScores(labels, pairs, audio, video, starts, np.asarray(truth, dtype=np.intp), tuple(groups))
    try:
        return MismatchDetector.fit(paired)
    except DataError:
        return None
