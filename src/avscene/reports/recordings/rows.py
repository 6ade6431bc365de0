"""Turn outcomes into rows of a table: a row for each segment, each span of one scene, or each recording."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Literal

from avscene.labels import LabelSet
from avscene.records import Failure, FloatArray, Prediction, SegmentPrediction
from avscene.reports.recordings.spans import (
    Outcome,
    is_sure,
    is_unsure,
    is_within,
    mismatch_spans,
    recording_scenes,
    scene_of,
    scene_spans,
)

RowKind = Literal["segments", "spans", "recordings"]
ROW_KINDS: tuple[RowKind, ...] = ("segments", "spans", "recordings")
Value = str | float | bool | None

_COLUMNS: dict[str, type] = {
    "filename": str,
    "start": float,
    "end": float,
    "scene_label": str,
    "score": float,
    "unsure": bool,
    "mismatch": float,
    "mismatch_verdict": bool,
    "familiarity": float,
    "error": str,
}
_OF_RECORDINGS: dict[str, type] = {"scenes": str, "mismatch_spans": str, "warnings": str}
RESERVED = frozenset({*_COLUMNS, *_OF_RECORDINGS})


def row_columns(kind: RowKind, labels: LabelSet) -> dict[str, type]:
    """Return the columns of such rows with their types; the last ones are the probabilities of the scenes.

    `mismatch` is the probability that audio and video do not belong together. `mismatch_verdict` is whether a segment
    or span lies in a span of a mismatch; of a recording, the verdict on the whole. A scene that is called like another
    column has the column `scene:NAME`.
    """
    scenes = {f"scene:{name}" if name in RESERVED else name: float for name in labels}
    return _COLUMNS | (_OF_RECORDINGS if kind == "recordings" else {}) | scenes


def outcome_rows(kind: RowKind, outcome: Outcome, labels: LabelSet) -> Iterator[list[Value]]:
    """Yield the rows of an outcome, with the values of `row_columns`; a failure has one, with its message.

    The probabilities and scores of a span are the means of its segments, its familiarity is the median, as that of a
    recording.
    """
    names = [*_COLUMNS, *(_OF_RECORDINGS if kind == "recordings" else ())]
    for values, probabilities in _rows(kind, outcome):
        scores: list[Value] = [None] * len(labels) if probabilities is None else list(map(float, probabilities))
        yield [*map(values.get, names), *scores]


def _rows(kind: RowKind, outcome: Outcome) -> Iterator[tuple[Mapping[str, Value], FloatArray | None]]:
    if isinstance(outcome, Failure):
        message = str(outcome.error).removeprefix(f"{outcome.source}: ")
        yield {"filename": outcome.source, "error": message}, None
    elif kind == "recordings":
        yield _recording(outcome), outcome.probabilities
    elif kind == "spans":
        for span in scene_spans(outcome, by_mismatch=True):
            row = _span(outcome, span.segments, is_mismatch=span.is_mismatch)
            yield row | {"scene_label": span.scene, "score": span.score, "unsure": span.is_unsure}, span.probabilities
    else:
        mismatches = mismatch_spans(outcome)
        for segment in outcome.segments:
            row = _span(outcome, (segment,), is_mismatch=is_within(segment, mismatches))
            yield row, segment.probabilities


def _span(prediction: Prediction, segments: tuple[SegmentPrediction, ...], *, is_mismatch: bool) -> dict[str, Value]:
    scene = scene_of(prediction, segments[0])
    mismatches = [segment.mismatch.score for segment in segments if segment.mismatch is not None]
    familiarities = [segment.familiarity.score for segment in segments if segment.familiarity is not None]
    return {
        "filename": prediction.source,
        "start": float(segments[0].start),
        "end": float(segments[-1].end),
        "scene_label": scene,
        "score": float(segments[0].probabilities.max()),
        "unsure": scene is not None and not is_sure(segments[0].probabilities),
        "mismatch": sum(mismatches) / len(mismatches) if mismatches else None,
        "mismatch_verdict": None if prediction.mismatch is None else is_mismatch,
        "familiarity": median(familiarities) if familiarities else None,
    }


def _recording(prediction: Prediction) -> dict[str, Value]:
    mismatch, familiarity, scenes = prediction.mismatch, prediction.familiarity, recording_scenes(prediction)
    return {
        "filename": prediction.source,
        "start": 0.0,
        "end": float(prediction.duration),
        "scene_label": prediction.scene,
        "score": prediction.score,
        "unsure": is_unsure(prediction, scenes),
        "mismatch": None if mismatch is None else mismatch.score,
        "mismatch_verdict": None if mismatch is None else mismatch.verdict,
        "familiarity": None if familiarity is None else familiarity.score,
        "scenes": ", ".join(scenes) or None,
        "mismatch_spans": "; ".join(f"{span.start:g}-{span.end:g}" for span in mismatch_spans(prediction)) or None,
        "warnings": "; ".join(prediction.warnings) or None,
    }
