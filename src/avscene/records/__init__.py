"""Define the frozen, validated values that pass between the stages, from examples and segments to predictions."""

from avscene.records.prediction import SCHEMA, Failure, Prediction, json_line
from avscene.records.reading import read_outcome
from avscene.records.segment_prediction import SegmentPrediction
from avscene.records.values import (
    MODALITY_NAMES,
    SUM_TOLERANCE,
    AudioSource,
    Backbones,
    BoolArray,
    ByteArray,
    Example,
    FloatArray,
    Frame,
    IntArray,
    Modality,
    Needs,
    SceneProbabilities,
    Segment,
)

__all__ = [
    "MODALITY_NAMES",
    "SCHEMA",
    "SUM_TOLERANCE",
    "AudioSource",
    "Backbones",
    "BoolArray",
    "ByteArray",
    "Example",
    "Failure",
    "FloatArray",
    "Frame",
    "IntArray",
    "Modality",
    "Needs",
    "Prediction",
    "SceneProbabilities",
    "Segment",
    "SegmentPrediction",
    "json_line",
    "read_outcome",
]
