"""Turn outcomes of recordings into bytes of full precision and back, without the path of the recording."""

import json
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np

from avscene.errors import error_class
from avscene.labels import LabelSet
from avscene.records import Failure, FloatArray, Prediction, SegmentPrediction
from avscene.verdicts import Familiarity, Mismatch, MismatchSpan, RecordingMismatch

Outcome = Prediction | Failure


def pack(outcome: Outcome) -> bytes:
    """Return an outcome as compressed JSON; numbers keep all their digits."""
    values = _failure_values(outcome) if isinstance(outcome, Failure) else _prediction_values(outcome)
    return zlib.compress(json.dumps(values, separators=(",", ":")).encode())


def unpack(content: bytes, source: str, system: str, labels: LabelSet) -> Outcome:
    """Return the outcome that `pack` turned into bytes, for the recording `source`.

    Raises:
        ValueError: the bytes are damaged.
    """
    try:
        values = json.loads(zlib.decompress(content))
        if "error" in values:
            message = f"{source}: {values['message']}" if values["after_source"] else values["message"]
            return Failure(source, error_class(values["error"])(message))
        return _prediction(values, source, system, labels)
    except (zlib.error, KeyError, TypeError) as error:
        raise ValueError(f"not an outcome ({type(error).__name__}: {error})") from error


def _failure_values(failure: Failure) -> dict[str, Any]:
    message, prefix = str(failure.error), f"{failure.source}: "
    after_source = message.startswith(prefix)  # the path is left out: the file may be renamed
    return {
        "error": failure.error.kind,
        "message": message.removeprefix(prefix) if after_source else message,
        "after_source": after_source,
    }


def _prediction_values(prediction: Prediction) -> dict[str, Any]:
    return {
        "duration": float(prediction.duration),
        "modalities": dict(prediction.modalities),
        "probabilities": _numbers(prediction.probabilities),
        "mismatch": None if prediction.mismatch is None else asdict(prediction.mismatch),
        "accepted": prediction.accepted,
        "familiarity": _familiarity_values(prediction.familiarity),
        "warnings": prediction.warnings,
        "segments": [
            [
                float(segment.start),
                float(segment.end),
                _numbers(segment.probabilities),
                {name: _numbers(values) for name, values in segment.by_model.items()},
                _mismatch_values(segment.mismatch),
                segment.accepted,
                _familiarity_values(segment.familiarity),
            ]
            for segment in prediction.segments
        ],
    }


def _prediction(values: dict[str, Any], source: str, system: str, labels: LabelSet) -> Prediction:
    return Prediction(
        source=source,
        duration=values["duration"],
        system=system,
        labels=labels,
        modalities=values["modalities"],
        probabilities=np.array(values["probabilities"]),
        segments=tuple(_segment(*fields) for fields in values["segments"]),
        warnings=tuple(values["warnings"]),
        mismatch=_recording_mismatch(values["mismatch"]),
        accepted=values["accepted"],
        familiarity=_familiarity(values.get("familiarity")),
    )


def _segment(
    start: float,
    end: float,
    probabilities: list[float],
    by_model: dict[str, list[float]],
    mismatch: tuple[float, bool] | None,
    accepted: bool,
    familiarity: tuple[float, dict[str, float]] | None = None,  # journals of earlier versions lack it
) -> SegmentPrediction:
    scored = {name: np.array(values) for name, values in by_model.items()}
    return SegmentPrediction(
        start, end, np.array(probabilities), scored, _mismatch(mismatch), accepted, _familiarity(familiarity)
    )


def _numbers(values: FloatArray) -> list[float]:
    return [float(value) for value in values]  # exact, also from float32


def _mismatch_values(mismatch: Mismatch | None) -> tuple[float, bool] | None:
    return None if mismatch is None else (float(mismatch.score), bool(mismatch.verdict))


def _mismatch(values: tuple[float, bool] | None) -> Mismatch | None:
    return None if values is None else Mismatch(values[0], verdict=values[1])


def _recording_mismatch(values: dict[str, Any] | None) -> RecordingMismatch | None:
    if values is None:
        return None
    return RecordingMismatch(**values | {"spans": tuple(MismatchSpan(**span) for span in values["spans"])})


def _familiarity_values(familiarity: Familiarity | None) -> tuple[float, dict[str, float]] | None:
    return None if familiarity is None else (familiarity.score, dict(familiarity.by_model))


def _familiarity(values: tuple[float, dict[str, float]] | None) -> Familiarity | None:
    return None if values is None else Familiarity(*values)
