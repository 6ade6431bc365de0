"""Turn the JSON of schema `avscene/1` back into predictions and failures."""

from typing import Any

import numpy as np

from avscene.errors import DataError, UsageError, error_class
from avscene.labels import LabelSet
from avscene.records.prediction import SCHEMA, Failure, Prediction
from avscene.records.segment_prediction import SegmentPrediction
from avscene.records.values import FloatArray
from avscene.verdicts import FAMILIAR_SHARE, Familiarity, Mismatch, MismatchSpan, RecordingMismatch

_ABSENT = (KeyError, TypeError, ValueError, AttributeError, UsageError)  # fields that are missing or of another type


def read_outcome(values: Any) -> Prediction | Failure:
    """Return the prediction or failure whose `to_dict()` gave these values.

    Its own `to_dict()` gives the same values again. Probabilities have the six decimals of JSON, and the share of
    familiarity of single models, which JSON does not contain, is missing.

    Raises:
        DataError: the values are not of schema `avscene/1`; the message does not name the file.
    """
    schema = values.get("schema") if isinstance(values, dict) else None
    if schema != SCHEMA:
        raise DataError(f"is not a result of schema {SCHEMA}" + (f", but of {schema}" if schema else ""))
    try:
        return _failure(values) if "error" in values else _prediction(values)
    except _ABSENT as error:
        raise DataError(f"is not a complete result ({type(error).__name__}: {error})") from error


def _failure(values: dict[str, Any]) -> Failure:
    error = values["error"]
    return Failure(_text(values["source"]), error_class(error["type"])(_text(error["message"])))


def _prediction(values: dict[str, Any]) -> Prediction:
    labels = LabelSet(tuple(values["labels"]))
    segments = tuple(_segment(segment, labels) for segment in values["segments"])
    if not segments:
        raise ValueError("no segments")
    return Prediction(
        source=_text(values["source"]),
        duration=float(values["duration"]),
        system=_text(values["system"]),
        labels=labels,
        modalities={name: bool(values["modalities"][name]) for name in values["modalities"]},
        probabilities=_probabilities(values, labels),
        segments=segments,
        warnings=tuple(map(_text, values.get("warnings", ()))),
        mismatch=_recording_mismatch(values.get("mismatch")),
        accepted=values["scene"] is not None,
        familiarity=_familiarity(values.get("familiarity")),
    )


def _segment(values: dict[str, Any], labels: LabelSet) -> SegmentPrediction:
    mismatch = values.get("mismatch")
    return SegmentPrediction(
        start=float(values["start"]),
        end=float(values["end"]),
        probabilities=_probabilities(values, labels),
        by_model={name: _by_label(scores, labels) for name, scores in values.get("by_model", {}).items()},
        mismatch=None if mismatch is None else Mismatch(float(mismatch["score"]), verdict=mismatch["verdict"]),
        accepted=values["scene"] is not None,
        familiarity=_familiarity(values.get("familiarity")),
        labels=labels,
    )


def _probabilities(values: dict[str, Any], labels: LabelSet) -> FloatArray:
    """Return probabilities (n_scenes,) whose largest one is that of `scene`, also where rounding made two equal."""
    probabilities = _by_label(values["scores"], labels)
    if values["scene"] is not None:
        top = labels.index(values["scene"])
        if top != probabilities.argmax():
            if probabilities[top] != probabilities.max():
                raise ValueError(f"scene {values['scene']!r} is not the most probable one")
            probabilities[top] = np.nextafter(probabilities[top], 2)
    return probabilities


def _by_label(scores: dict[str, float], labels: LabelSet) -> FloatArray:
    return np.array([scores[name] for name in labels], dtype=float)


def _recording_mismatch(values: dict[str, Any] | None) -> RecordingMismatch | None:
    if values is None:
        return None
    return RecordingMismatch(**values | {"spans": tuple(MismatchSpan(**span) for span in values["spans"])})


def _familiarity(values: dict[str, Any] | None) -> Familiarity | None:
    if values is None:
        return None
    score = float(values["score"])
    return Familiarity(score if values["familiar"] else min(score, float(np.nextafter(FAMILIAR_SHARE, 0))))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
