"""Turn predictions into text in each output format, and one prediction into the text of a file."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from avscene.errors import UsageError
from avscene.labels import LabelSet
from avscene.records import Prediction
from avscene.reports.recordings.rows import RowKind, Value, outcome_rows, row_columns
from avscene.reports.recordings.spans import UNSURE, Outcome, SceneSpan, mismatch_spans, scene_spans

BYTE_ORDER_MARK = "\ufeff"  # by which Excel recognises UTF-8 in a CSV file
_MIN_CUE = 1.0  # seconds that the subtitle of a photograph, which has no duration, is shown
# Spreadsheets take a cell that begins with one of these for a formula, which may open addresses and run programs.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the last are full-width forms


def json_text(outcome: Outcome) -> str:
    """Return one outcome as indented JSON."""
    return json.dumps(outcome.to_dict(), indent=2)


@dataclass(frozen=True, slots=True)
class DelimitedRows:
    """The text of CSV (`delimiter` is a comma) or TSV: `kind` of rows, and the label set of their probabilities."""

    kind: RowKind
    labels: LabelSet
    delimiter: str

    def header(self) -> str:
        """Return the line with the names of the columns."""
        return self._text([[_no_formula(name, "'") for name in row_columns(self.kind, self.labels)]])

    def rows(self, outcome: Outcome) -> str:
        """Return the lines of an outcome; a failure has one, with its message.

        No cell is a formula to a spreadsheet: a file name that looks like one is written with `./` before it, which
        names the same file, and other text with an apostrophe.
        """
        found = outcome_rows(self.kind, outcome, self.labels)
        return self._text([[_no_formula(_cell(row[0]), "./"), *map(_safe_cell, row[1:])] for row in found])

    def _text(self, rows: list[list[str]]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.delimiter, lineterminator="\n").writerows(rows)
        return text.getvalue()


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else f"{value:.9g}"


def _safe_cell(value: Value) -> str:
    return _no_formula(value, "'") if isinstance(value, str) else _cell(value)


def _no_formula(text: str, before: str) -> str:
    return before + text if text.startswith(_FORMULA) else text


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
    """Return an Audacity label track: start, end and label, separated by tabs; spans of a mismatch come at the end."""
    labels = [(span.start, span.end, span.label) for span in scene_spans(prediction)]
    labels += [(span.start, span.end, f"mismatch {span.score:.0%}") for span in mismatch_spans(prediction)]
    return "".join(f"{start:.6f}\t{end:.6f}\t{label}\n" for start, end, label in labels)


@dataclass(frozen=True, slots=True)
class RecordingFormat:
    """A format of files that hold a single recording: their suffix, their media type (MIME), and their text."""

    extension: str
    media_type: str
    to_text: Callable[[Prediction], str]


# Formats whose files never hold several recordings. A new one is a function and a row here.
SINGLE_RECORDING: dict[str, RecordingFormat] = {
    "vtt": RecordingFormat(".vtt", "text/vtt; charset=utf-8", webvtt),
    "srt": RecordingFormat(".srt", "application/x-subrip; charset=utf-8", subrip),
    "audacity": RecordingFormat(".txt", "text/plain; charset=utf-8", audacity),
}
ROW_FORMATS = ("csv", "tsv", "parquet")  # with a row for each segment, span or recording


def recording_text(prediction: Prediction, name: str) -> str:
    """Return the text of a file with one prediction, as `avscene classify FILE --output RESULT` writes it.

    Args:
        prediction: that of the recording.
        name: one of RECORDING_FORMATS; csv has a row for each segment.

    Raises:
        UsageError: there is no such format.
    """
    if name not in RECORDING_FORMATS:
        raise UsageError(f"format {name!r} is not one of {', '.join(RECORDING_FORMATS)}")
    return RECORDING_FORMATS[name].to_text(prediction)


def _json_file(prediction: Prediction) -> str:
    return json_text(prediction) + "\n"


def _csv_file(prediction: Prediction) -> str:
    rows = DelimitedRows("segments", prediction.labels, ",")
    return BYTE_ORDER_MARK + rows.header() + rows.rows(prediction)


RECORDING_FORMATS: dict[str, RecordingFormat] = {
    "json": RecordingFormat(".json", "application/json", _json_file),
    "csv": RecordingFormat(".csv", "text/csv; charset=utf-8", _csv_file),
    **SINGLE_RECORDING,
}


def subtitle_time(seconds: float, point: str) -> str:
    """Return `hh:mm:ss.mmm`, with `point` before the milliseconds."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"


def _cues(prediction: Prediction) -> Iterator[tuple[float, float, str]]:
    for span in scene_spans(prediction, by_mismatch=True):
        end = span.end if span.end > span.start else span.start + _MIN_CUE
        yield span.start, end, _cue_text(span)


def _cue_text(span: SceneSpan) -> str:
    parts = [span.label if span.scene is None else f"{span.scene} {span.score:.0%}"]
    parts += [UNSURE] if span.is_unsure else []
    parts += ["mismatch"] if span.is_mismatch else []
    return ", ".join(parts)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
