"""Turn predictions into text in each output format."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from avscene.records import Failure, Prediction, SegmentPrediction

Outcome = Prediction | Failure

UNKNOWN_SCENE = "unknown"  # instead of a scene whose probability is below the threshold
_MIN_CUE = 1.0  # seconds that the subtitle of a photograph, which has no duration, is shown


@dataclass(frozen=True, slots=True)
class SceneSpan:
    """Consecutive segments of one scene, in seconds; `score` is the mean probability of the scene.

    `scene` is None if no scene was accepted; `score` is then the mean of the largest probabilities.
    """

    start: float
    end: float
    scene: str | None
    score: float

    @property
    def label(self) -> str:
        """The name of the scene, or "unknown"."""
        return self.scene or UNKNOWN_SCENE


def scene_spans(prediction: Prediction) -> list[SceneSpan]:
    """Join consecutive segments of the same scene."""
    spans = []
    for scene, run in groupby(prediction.segments, key=lambda segment: scene_of(prediction, segment)):
        segments = list(run)
        score = sum(float(segment.probabilities.max()) for segment in segments) / len(segments)
        spans.append(SceneSpan(segments[0].start, segments[-1].end, scene, score))
    return spans


def scene_of(prediction: Prediction, segment: SegmentPrediction) -> str | None:
    """Return the scene of a segment of `prediction`, or None if no scene was accepted."""
    return prediction.labels.names[int(segment.probabilities.argmax())] if segment.accepted else None


def json_text(outcome: Outcome) -> str:
    """Return one outcome as indented JSON."""
    return json.dumps(outcome.to_dict(), indent=2)


def delimited_text(prediction: Prediction, *, delimiter: str, header: bool) -> str:
    """Return a row per segment: `filename`, `start`, `scene_label`, a probability for each scene.

    The label is empty if no scene was accepted. `familiarity` comes before the label if the system measures it.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    names = prediction.labels.names
    if header:
        familiarity = [] if prediction.familiarity is None else ["familiarity"]
        writer.writerow(["filename", "start", *familiarity, "scene_label", *names])
    for segment in prediction.segments:
        place = [prediction.source, f"{segment.start:.10g}"]
        share = [] if segment.familiarity is None else [f"{segment.familiarity.score:.9g}"]
        values = [f"{value:.9g}" for value in segment.probabilities]
        writer.writerow([*place, *share, scene_of(prediction, segment) or "", *values])
    return text.getvalue()


def webvtt(prediction: Prediction) -> str:
    """Return WebVTT subtitles (W3C) with a cue for each span of one scene."""
    return "WEBVTT\n\n" + "".join(
        f"{subtitle_time(start, '.')} --> {subtitle_time(end, '.')}\n{_escaped(label)}\n\n"
        for start, end, label in _cues(prediction)
    )


def subrip(prediction: Prediction) -> str:
    """Return SubRip subtitles with a numbered cue for each span of one scene."""
    return "".join(
        f"{number}\n{subtitle_time(start, ',')} --> {subtitle_time(end, ',')}\n{label}\n\n"
        for number, (start, end, label) in enumerate(_cues(prediction), start=1)
    )


def audacity(prediction: Prediction) -> str:
    """Return an Audacity label track: start, end and label, separated by tabs."""
    return "".join(f"{span.start:.6f}\t{span.end:.6f}\t{span.label}\n" for span in scene_spans(prediction))


@dataclass(frozen=True, slots=True)
class SingleRecordingFormat:
    """A format whose files hold a single recording, so that several recordings need a folder."""

    extension: str
    to_text: Callable[[Prediction], str]


# A new format of this kind is a function and a row here.
SINGLE_RECORDING: dict[str, SingleRecordingFormat] = {
    "vtt": SingleRecordingFormat(".vtt", webvtt),
    "srt": SingleRecordingFormat(".srt", subrip),
    "audacity": SingleRecordingFormat(".txt", audacity),
}
FORMATS = ("table", "json", "jsonl", "csv", "tsv", "parquet", *SINGLE_RECORDING)


def subtitle_time(seconds: float, point: str) -> str:
    """Return `hh:mm:ss.mmm`, with `point` before the milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _cues(prediction: Prediction) -> Iterator[tuple[float, float, str]]:
    for span in scene_spans(prediction):
        end = span.end if span.end > span.start else span.start + _MIN_CUE
        yield span.start, end, span.label if span.scene is None else f"{span.scene} {span.score:.0%}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
