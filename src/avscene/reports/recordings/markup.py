"""Turn one outcome into a row of the page of recordings."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PurePath

from avscene.labels import LabelSet
from avscene.records import ByteArray, Failure, Needs, Prediction
from avscene.reports.recordings.counts import states_of
from avscene.reports.recordings.notes import has_tenths, mismatch_lines, short_time, unfamiliar_lines
from avscene.reports.recordings.spans import (
    UNSURE,
    Outcome,
    SceneSpan,
    headline,
    is_within,
    mismatch_spans,
    recording_scenes,
    scene_of,
    scene_spans,
    used_modalities,
)
from avscene.reports.thumbnails import jpeg_data_uri

COLUMNS = ("Frame", "Recording", "Scene", "Timeline", "Notes")
N_COLORS = 10  # in recordings.css; for more scenes they repeat
MOST_SPANS = 60  # listed for one recording
MOST_PARTS = 300  # of a strip; more could not be told apart
THUMBNAIL_SIDE = 160  # pixels of the longer side
JPEG_QUALITY = 60
_NO_COLOR = "transparent"
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """The name and the label set of a system, and what each of its models needs, by the name of the model."""

    name: str
    labels: LabelSet
    needs: Mapping[str, Needs] = field(default_factory=dict)


def escaped(text: str) -> str:
    """Return text as markup; what is not UTF-8, control characters and changes of direction are shown as escapes."""
    readable = text.encode("utf-8", "backslashreplace").decode()
    shown = (char.encode("unicode_escape").decode() if _UNPRINTABLE.match(char) else char for char in readable)
    return html.escape("".join(shown))


class RowMarkup:
    """Makes the rows of a page of recordings that `system` classified."""

    def __init__(self, system: SystemInfo) -> None:
        self._system = system

    def of(self, outcome: Outcome, frame: ByteArray | None) -> str:
        """Return the row of an outcome; `frame` (height, width, 3) in RGB is shown as a thumbnail."""
        if isinstance(outcome, Failure):
            note = str(outcome.error).removeprefix(f"{outcome.source}: ")
            cells = ["", _name(outcome.source, ""), '<span class="tag">failed</span>', "", _lines([note])]
            return _row(cells, ["failed"])
        tenths = has_tenths(outcome)
        used = " and ".join(used_modalities(outcome, self._system.needs))
        details = f"{short_time(outcome.duration, tenths=tenths)}, from {used}"
        cells = [
            _thumbnail(outcome, frame),
            _name(outcome.source, details),
            escaped(headline(outcome)),
            self._timeline(outcome, tenths=tenths),
            _lines([*unfamiliar_lines(outcome), *mismatch_lines(outcome), *outcome.warnings]),
        ]
        scenes = recording_scenes(outcome)
        columns = " ".join(str(self._system.labels.index(scene)) for scene in scenes)
        sure = outcome.score  # by which the rows are ordered; of several scenes, that of their segments
        if len(scenes) > 1:
            sure = sum(float(segment.probabilities.max()) for segment in outcome.segments) / len(outcome.segments)
        attributes = {"scenes": columns, "score": f"{sure:.4f}", "seconds": f"{outcome.duration:.1f}"}
        return _row(cells, states_of(outcome, scenes), attributes)

    def _timeline(self, prediction: Prediction, *, tenths: bool) -> str:
        """Return colored strips over the duration, and a list of the spans."""
        spans = scene_spans(prediction)
        strip = (
            f'<div class="strip-of-scenes" style="background:{_gradient(prediction, self._colors(prediction))}"></div>'
        )
        if mismatches := mismatch_spans(prediction):
            colors = ["var(--warning)" if is_within(s, mismatches) else _NO_COLOR for s in prediction.segments]
            strip += f'<div class="strip-of-mismatch" style="background:{_gradient(prediction, colors)}"></div>'
        items = "".join(f"<li>{_span_text(span, tenths=tenths)}</li>" for span in spans[:MOST_SPANS])
        if len(spans) > MOST_SPANS:
            items += f"<li>and {len(spans) - MOST_SPANS:,} more</li>"
        count = f"{len(spans):,} span{'s' if len(spans) != 1 else ''}"
        return f"{strip}<details><summary>{count}</summary><ol>{items}</ol></details>"

    def _colors(self, prediction: Prediction) -> list[str]:
        """Return the color of each segment."""
        scenes = (scene_of(prediction, segment) for segment in prediction.segments)
        labels = self._system.labels
        return ["var(--none)" if s is None else f"var(--c{labels.index(s) % N_COLORS})" for s in scenes]


def _gradient(prediction: Prediction, colors: Sequence[str]) -> str:
    """Return a CSS image of the duration with the color of each segment, and none between segments."""
    segments = prediction.segments
    total = max(prediction.duration, segments[-1].end) or 1.0  # of a photograph
    count = min(len(segments), MOST_PARTS)
    chosen = [cell * len(segments) // count for cell in range(count)]
    parts, reached = [], 0.0
    for number, following in zip(chosen, [*chosen[1:], len(segments)], strict=True):
        segment, last = segments[number], segments[following - 1]  # those between were left out
        if segment.start > reached:
            parts.append((segment.start, _NO_COLOR))
        reached = last.end or total
        parts.append((reached, colors[number]))
    parts.append((total, _NO_COLOR))
    stops, start = [], 0.0
    for color, run in groupby(parts, key=lambda part: part[1]):
        *_, (stop, _) = run
        if stop > start:
            stops.append(f"{color} {start / total:.2%} {stop / total:.2%}")
        start = stop
    return f"linear-gradient(90deg,{','.join(stops)})"


def _span_text(span: SceneSpan, *, tenths: bool) -> str:
    times = f"{short_time(span.start, tenths=tenths)} - {short_time(span.end, tenths=tenths)}"
    score = "" if span.scene is None else f" {span.score:.0%}" + (f", {UNSURE}" if span.is_unsure else "")
    return f"{times} {escaped(span.label)}{score}"


def _thumbnail(prediction: Prediction, frame: ByteArray | None) -> str:
    if frame is None:
        return ""
    uri = jpeg_data_uri(frame, THUMBNAIL_SIDE, JPEG_QUALITY)
    alt = f"Frame at {short_time(prediction.duration / 2)}"
    return f'<img src="{uri}" alt="{alt}" loading="lazy" decoding="async">'


def _name(source: str, details: str) -> str:
    name = PurePath(source).name or source
    folder = source[: len(source) - len(name)] if source.endswith(name) else ""
    below = f'<span class="muted">{escaped(details)}</span>' if details else ""
    return f'<span class="muted">{escaped(folder)}</span><span class="name">{escaped(name)}</span>{below}'


def _lines(notes: Sequence[str]) -> str:
    return "".join(f"<p>{escaped(note.strip())}</p>" for note in notes)


def _row(cells: Sequence[str], states: Sequence[str], attributes: Mapping[str, str] | None = None) -> str:
    data = "".join(f' data-{name}="{value}"' for name, value in (attributes or {}).items())
    frame, name, *others = cells
    rest = "".join(f'<td role="cell">{cell}</td>' for cell in others)
    return (
        f'<tr role="row" data-states="{" ".join(states)}"{data}><td role="cell" class="frame">{frame}</td>'
        f'<th scope="row" role="rowheader">{name}</th>{rest}</tr>\n'
    )
