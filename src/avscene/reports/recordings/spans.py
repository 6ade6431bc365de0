"""Join the segments of a prediction to spans of one scene, and name the scenes that a recording consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from avscene.records import Failure, FloatArray, Modality, Needs, Prediction, SegmentPrediction
from avscene.verdicts import MismatchSpan

Outcome = Prediction | Failure

UNKNOWN_SCENE = "unknown"  # instead of a scene whose probability is below the threshold
UNSURE = "unsure"
SURE_PROBABILITY = 0.5  # below it a scene is more probably wrong than right
SURE_LEAD = 0.1  # over the next scene; of two scenes, one always has half
# A scene is one of several of a recording if it has spans of two segments that last so long together.
MIN_SEGMENTS = 2
MIN_SECONDS = 10.0
MIN_SHARE = 0.1  # of the recording, if that is less


@dataclass(frozen=True, slots=True, eq=False)
class SceneSpan:
    """Consecutive segments of one scene, in seconds; `score` is the mean probability of the scene.

    `scene` is None if no scene was accepted; `score` is then the mean of the largest probabilities. `is_mismatch` is
    whether the span is one in which audio and video do not belong together, if such spans were separated.
    """

    start: float
    end: float
    scene: str | None
    score: float
    segments: tuple[SegmentPrediction, ...]
    is_mismatch: bool = False

    @property
    def label(self) -> str:
        """The name of the scene, or "unknown"."""
        return self.scene or UNKNOWN_SCENE

    @property
    def probabilities(self) -> FloatArray:
        """Mean probabilities (n_scenes,) of the segments."""
        return _mean(self.segments)

    @property
    def is_unsure(self) -> bool:
        """Whether a scene is named although it is hardly more probable than others."""
        return self.scene is not None and not is_sure(self.probabilities)


def scene_spans(prediction: Prediction, *, by_mismatch: bool = False) -> list[SceneSpan]:
    """Join consecutive segments of the same scene; with `by_mismatch` a span is all or nothing of a mismatch."""
    mismatches = mismatch_spans(prediction) if by_mismatch else ()

    def key(segment: SegmentPrediction) -> tuple[str | None, bool]:
        return scene_of(prediction, segment), is_within(segment, mismatches)

    spans = []
    for (scene, is_mismatch), run in groupby(prediction.segments, key=key):
        segments = tuple(run)
        score = sum(float(segment.probabilities.max()) for segment in segments) / len(segments)
        spans.append(SceneSpan(segments[0].start, segments[-1].end, scene, score, segments, is_mismatch))
    return spans


def scene_of(prediction: Prediction, segment: SegmentPrediction) -> str | None:
    """Return the scene of a segment of `prediction`, or None if no scene was accepted."""
    return prediction.labels.names[int(segment.probabilities.argmax())] if segment.accepted else None


def is_sure(probabilities: FloatArray) -> bool:
    """Return whether the largest of the probabilities (n_scenes,) is at least half and leads clearly."""
    second, first = np.sort(probabilities)[-2:]
    return bool(first >= SURE_PROBABILITY and first - second >= SURE_LEAD)


def recording_scenes(prediction: Prediction) -> tuple[str, ...]:
    """Return the scenes that a recording consists of, in their order.

    That is its most probable scene, unless several have spans that are long and sure: then these. Empty if no scene was
    accepted.
    """
    seconds: dict[str, float] = {}
    for scene, run in groupby(prediction.segments, key=lambda segment: scene_of(prediction, segment)):
        segments = tuple(run)
        if scene is not None and len(segments) >= MIN_SEGMENTS and is_sure(_mean(segments)):
            seconds[scene] = seconds.get(scene, 0.0) + segments[-1].end - segments[0].start
    scored = sum(segment.end - segment.start for segment in prediction.segments)
    several = tuple(scene for scene, total in seconds.items() if total >= min(MIN_SECONDS, MIN_SHARE * scored))
    if len(several) > 1:
        return several
    return () if prediction.scene is None else (prediction.scene,)


def is_unsure(prediction: Prediction, scenes: Sequence[str]) -> bool:
    """Return whether the recording has one scene, which is hardly more probable than others.

    Args:
        prediction: that of the recording.
        scenes: its `recording_scenes`.
    """
    return len(scenes) == 1 and not is_sure(prediction.probabilities)


def _mean(segments: Sequence[SegmentPrediction]) -> FloatArray:
    return np.asarray(np.mean([segment.probabilities for segment in segments], axis=0))


def headline(prediction: Prediction) -> str:
    """Return the scene of a recording with its probability, or its scenes, such as `suburb, living_room, forest`."""
    scenes = recording_scenes(prediction)
    if len(scenes) > 1:
        return ", ".join(scenes)
    if not scenes:
        return UNKNOWN_SCENE
    return f"{scenes[0]} {prediction.score:.0%}" + (f", {UNSURE}" if is_unsure(prediction, scenes) else "")


def mismatch_spans(prediction: Prediction) -> tuple[MismatchSpan, ...]:
    """Return the spans in which audio and video do not belong together; all of a recording that has only a verdict."""
    mismatch = prediction.mismatch
    if mismatch is None:
        return ()
    if mismatch.verdict and not mismatch.spans:
        return (MismatchSpan(prediction.segments[0].start, prediction.segments[-1].end, mismatch.score),)
    return mismatch.spans


def is_within(segment: SegmentPrediction, spans: tuple[MismatchSpan, ...]) -> bool:
    """Return whether a segment lies in one of the spans."""
    middle = (segment.start + segment.end) / 2
    return any(span.start <= middle <= span.end for span in spans)


def used_modalities(prediction: Prediction, needs: Mapping[str, Needs]) -> tuple[Modality, ...]:
    """Return the modalities that the models used which scored a segment; `needs` of each model by its name.

    If the needs of a model are not given, those are returned that the recording has.
    """
    models = {name for segment in prediction.segments for name in segment.by_model}
    if not models or not models <= needs.keys():
        return tuple(name for name, is_present in prediction.modalities.items() if is_present)
    used = {needs[name] for name in models}
    modalities: tuple[Modality, ...] = ("audio", "video")
    return tuple(name for name in modalities if name in used or "both" in used)
