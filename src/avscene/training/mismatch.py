"""What the models of a system said of rows that they were not trained on, to its mismatch detector."""

from collections.abc import Mapping, Sequence

import numpy as np

from avscene.errors import DataError
from avscene.fusion.rules import ScoresByModel
from avscene.labels import LabelSet
from avscene.mismatch.detector import MismatchDetector, by_modality
from avscene.mismatch.pairs import PairedScores, RecordingPair
from avscene.records import Example, FloatArray, IntArray, Needs


def fit_mismatch(
    labels: LabelSet,
    scores: ScoresByModel,
    needs: Mapping[str, Needs],
    examples: Sequence[Example],
    starts: FloatArray,
    truth: IntArray,
) -> MismatchDetector | None:
    """The detector of a system of sound and picture, or None where it has not both or nothing to learn it from.

    Args:
        labels: the scenes in the order of the columns.
        scores: probabilities (n, n_scenes) of every model by its name; NaN rows where it did not score.
        needs: what each model looks at or listens to.
        examples: the recording of each row.
        starts: (n,) seconds.
        truth: (n,) scene indices.
    """
    heard, seen = by_modality(scores, needs)
    if heard is None or seen is None:
        return None
    pairs = tuple(RecordingPair(example.name, example.name) for example in examples)
    groups = tuple(example.group for example in examples)
    paired = PairedScores(labels, pairs, heard, seen, starts, np.asarray(truth, dtype=np.intp), groups)
    try:
        return MismatchDetector.fit(paired)
    except DataError:
        return None  # no recording has both modalities beside another of another scene
