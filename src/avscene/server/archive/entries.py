"""Reduce results to what a list shows and filters by."""

from dataclasses import dataclass
from typing import Any

from avscene.records import Failure, read_outcome
from avscene.reports.recordings.spans import is_unsure, mismatch_spans, recording_scenes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a list shows of one result; a failure has an `error`, its type and its message, and little else.

    Attributes:
        source: Path or URL of the recording, as `classify` wrote it.
        system: Name of the system; empty of a failure.
        duration: Of the recording, in seconds.
        scene: Most probable scene; None if none was accepted.
        scenes: Those that head the recording; empty if none was accepted.
        score: Probability of the most probable scene.
        unsure: Whether the recording has one scene that is hardly more probable than others.
        mismatch: Whether audio and video do not belong together somewhere; None if it was not measured.
        unfamiliar: Whether the recording is unlike those of training; None if it was not measured.
        error: Why there is no prediction.
    """

    source: str
    system: str = ""
    duration: float | None = None
    scene: str | None = None
    scenes: tuple[str, ...] = ()
    score: float | None = None
    unsure: bool = False
    mismatch: bool | None = None
    unfamiliar: bool | None = None
    error: tuple[str, str] | None = None


def entry_of(values: Any) -> Entry:
    """Return the entry of a result, given its JSON of schema `avscene/1`; the values may be changed.

    Raises:
        DataError: it is not a result.
    """
    if isinstance(values, dict):
        _drop_models(values.get("segments"))  # half of the work, and not needed
    outcome = read_outcome(values)
    if isinstance(outcome, Failure):
        return Entry(source=outcome.source, error=(outcome.error.kind, str(outcome.error)))
    scenes = recording_scenes(outcome)
    return Entry(
        source=outcome.source,
        system=outcome.system,
        duration=outcome.duration,
        scene=outcome.scene,
        scenes=scenes,
        score=outcome.score,
        unsure=is_unsure(outcome, scenes),
        mismatch=None if outcome.mismatch is None else bool(mismatch_spans(outcome)),
        unfamiliar=None if outcome.familiarity is None else not outcome.familiarity.familiar,
    )


def _drop_models(segments: Any) -> None:
    for segment in segments if isinstance(segments, list) else ():
        if isinstance(segment, dict):
            segment.pop("by_model", None)
