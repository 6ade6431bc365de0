"""Predictions as text: one writer for each format."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from avscene.records import Failure, Prediction, SegmentPrediction

Format = Literal["table", "json", "jsonl", "csv", "tsv", "vtt", "srt", "audacity"]
Outcome = Prediction | Failure

# Formats of which one file holds one recording; several recordings need a folder.
SUFFIXES: dict[str, str] = {"vtt": ".vtt", "srt": ".srt", "audacity": ".txt"}
UNKNOWN = "unknown"  # in place of a scene where none is sure enough
_LEAST_CUE = 1.0  # seconds a photograph's cue is shown


@dataclass(frozen=True, slots=True)
class Span:
    """Neighbouring segments of one scene; `score` is the mean probability of that scene.

    `scene` is None where none was sure enough; `score` then is the mean of the largest probabilities.
    """

    start: float
    end: float
    scene: str | None
    score: float

    @property
    def label(self) -> str:
        """The scene, or that it is not known."""
        return self.scene or UNKNOWN


def stretches(prediction: Prediction) -> list[Span]:
    """The timeline of a recording: its segments, neighbours of the same scene joined."""
    joined = []
    for scene, run in groupby(prediction.segments, key=lambda segment: scene_of(prediction, segment)):
        segments = list(run)
        score = sum(float(segment.probabilities.max()) for segment in segments) / len(segments)
        joined.append(Span(segments[0].start, segments[-1].end, scene, score))
    return joined


def scene_of(prediction: Prediction, segment: SegmentPrediction) -> str | None:
    """The scene of one of its segments; None where none is sure enough."""
    return prediction.labels.names[int(segment.probabilities.argmax())] if segment.accepted else None


def json_text(outcome: Outcome) -> str:
    """One outcome, indented."""
    return json.dumps(outcome.to_dict(), indent=2)


def jsonl(outcome: Outcome) -> str:
    """One outcome on one line."""
    return json.dumps(outcome.to_dict()) + "\n"


def separated(prediction: Prediction, *, delimiter: str, header: bool) -> str:
    """A prediction table, a row per segment: `filename`, `start`, `scene_label`, a probability for each scene.

    The label is empty where no scene is sure enough.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    names = prediction.labels.names
    if header:
        writer.writerow(["filename", "start", "scene_label", *names])
    for segment in prediction.segments:
        values = [f"{value:.9g}" for value in segment.probabilities]
        writer.writerow([prediction.source, f"{segment.start:.10g}", scene_of(prediction, segment) or "", *values])
    return text.getvalue()


def webvtt(prediction: Prediction) -> str:
    """WebVTT subtitles (W3C): a cue for each stretch."""
    return "WEBVTT\n\n" + "".join(
        f"{clock(start, '.')} --> {clock(end, '.')}\n{_escaped(label)}\n\n" for start, end, label in _cues(prediction)
    )


def subrip(prediction: Prediction) -> str:
    """SubRip subtitles: a numbered cue for each stretch."""
    return "".join(
        f"{number}\n{clock(start, ',')} --> {clock(end, ',')}\n{label}\n\n"
        for number, (start, end, label) in enumerate(_cues(prediction), start=1)
    )


def audacity(prediction: Prediction) -> str:
    """Audacity's label track: start, end and label between tabs."""
    return "".join(f"{stretch.start:.6f}\t{stretch.end:.6f}\t{stretch.label}\n" for stretch in stretches(prediction))


# The formats that hold one recording alone.
SINGLE: dict[str, Callable[[Prediction], str]] = {"vtt": webvtt, "srt": subrip, "audacity": audacity}


def clock(seconds: float, point: str) -> str:
    """`hh:mm:ss.mmm`, with `point` before the milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _cues(prediction: Prediction) -> Iterator[tuple[float, float, str]]:
    for stretch in stretches(prediction):
        end = stretch.end if stretch.end > stretch.start else stretch.start + _LEAST_CUE
        yield stretch.start, end, stretch.label if stretch.scene is None else f"{stretch.scene} {stretch.score:.0%}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
