"""Write hand-made predictions in every format: `python tests/golden/regenerate_formats.py [DIR]`.

Run it only when a format changes on purpose, and read the difference before committing it.
"""

import os
import sys
from pathlib import Path

import numpy as np

from avscene.cli.output import timeline
from avscene.errors import MediaError
from avscene.labels import LabelSet
from avscene.records import Failure, Prediction, SegmentPrediction, json_line
from avscene.reports.recordings import formats
from avscene.reports.recordings.rows import RowKind
from avscene.reports.recordings.spans import Outcome
from avscene.verdicts import Familiarity, Mismatch, MismatchSpan, RecordingMismatch

HERE = Path(__file__).parent / "formats"
LABELS = LabelSet(("park", "R&B <club>", "metro_station"))


def recording() -> Prediction:
    """Return a prediction of two models: four segments in three spans, the last short, past an hour; two warnings."""
    rows = np.array([[0.7, 0.2, 0.1], [0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [1 / 3 + 1e-9, 1 / 3, 1 / 3 - 1e-9]])
    starts, ends = (0.0, 1.0, 2.0, 3661.0), (1.0, 2.0, 3661.0, 3661.5)
    segments = [
        SegmentPrediction(start, end, row, {"video": row, "audio": row[::-1]} if row[0] < 0.7 else {"video": row})
        for start, end, row in zip(starts, ends, rows, strict=True)
    ]
    warnings = ("1 of 4 segments have no audio: model `audio` was skipped there", "2 video streams: took #0 (64x48)")
    has = {"audio": True, "video": True}
    return Prediction(
        'dir/a recording, "uncut".mp4', 3661.5, "fast", LABELS, has, rows.mean(axis=0), tuple(segments), warnings
    )


def short_segments() -> Prediction:
    """Return segments of 0.25 s at late times that rounding must keep apart; one modality; a name with a tab."""
    rows = np.array([[0.2, 0.2, 0.6], [0.25, 0.15, 0.6], [0.6, 0.2, 0.2]])
    spans = ((12345.25, 12345.5), (12345.5, 12345.75), (12345.75, 12346.0))
    segments = tuple(SegmentPrediction(*span, row, {"audio": row}) for span, row in zip(spans, rows, strict=True))
    has = {"audio": True, "video": False}
    return Prediction("tab\there ü.wav", 12346.0, "E9", LABELS, has, rows.mean(axis=0), segments)


def photograph() -> Prediction:
    """Return a prediction without duration."""
    row = np.array([0.05, 0.05, 0.9])
    has = {"audio": False, "video": True}
    segments = (SegmentPrediction(0.0, 0.0, row, {"video": row}),)
    return Prediction("snap.png", 0.0, "conse", LABELS, has, row, segments)


def not_accepted() -> Prediction:
    """Return mismatched audio, once without audio; two neighbours of different scenes, neither of them accepted."""
    rows = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.3, 0.4, 0.3]])
    mismatches = (Mismatch(0.91, verdict=True), Mismatch(0.3, verdict=False), None)
    segments = tuple(
        SegmentPrediction(float(k), k + 1.0, row, {"video": row}, mismatches[k], accepted=k == 0)
        for k, row in enumerate(rows)
    )
    has = {"audio": True, "video": True}
    return Prediction(
        *("dubbed.mp4", 3.0, "fast", LABELS, has, rows.mean(axis=0), segments),
        mismatch=RecordingMismatch(
            0.8765432101,
            verdict=True,
            prior=0.01,
            threshold=0.45,
            false_alarms=1.25,
            spans=(MismatchSpan(0.0, 2.0, 0.8123456789),),
        ),
        accepted=False,
    )


def unfamiliar() -> Prediction:
    """Return segments of which the last two of three are unlike those of training."""
    rows = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    segments = tuple(
        SegmentPrediction(float(k), k + 1.0, row, {"video": row}, familiarity=Familiarity(share, {"video": share}))
        for k, (row, share) in enumerate(zip(rows, (0.4, 0.0123456789, 0.004), strict=True))
    )
    has = {"audio": False, "video": True}
    overall = rows.mean(axis=0)
    return Prediction("moon.mp4", 3.0, "fast", LABELS, has, overall, segments, familiarity=Familiarity(0.0123456789))


PREDICTIONS = {
    "recording": recording,
    "short_segments": short_segments,
    "photograph": photograph,
    "not_accepted": not_accepted,
    "unfamiliar": unfamiliar,
}


def in_every_format(outcome: Prediction) -> dict[str, str]:
    """Return the text of each format by the end of its file name."""
    return {
        "json": formats.json_text(outcome) + "\n",
        "jsonl": json_line(outcome),
        "csv": delimited_text(outcome, "segments", ","),
        "tsv": delimited_text(outcome, "segments", "\t"),
        "spans.csv": delimited_text(outcome, "spans", ","),
        "recordings.csv": delimited_text(outcome, "recordings", ","),
        "vtt": formats.webvtt(outcome),
        "srt": formats.subrip(outcome),
        "audacity.txt": formats.audacity(outcome),
        "table.txt": timeline.timeline_text(outcome, colored=False),
    }


def delimited_text(outcome: Outcome, kind: RowKind, delimiter: str) -> str:
    """Return rows with their header."""
    made = formats.DelimitedRows(kind, LABELS, delimiter)
    return made.header() + made.rows(outcome)


def regenerate(directory: Path) -> None:
    """Write every file; the width of the terminal is the usual 80."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, made in PREDICTIONS.items():
            for suffix, text in in_every_format(made()).items():
                (directory / f"{name}.{suffix}").write_text(text, encoding="utf-8", newline="")
        failure: Outcome = Failure("gone.mp4", MediaError("gone.mp4: not found"))
        (directory / "failure.json").write_text(formats.json_text(failure) + "\n", encoding="utf-8")
        (directory / "failure.jsonl").write_text(json_line(failure), encoding="utf-8")
        (directory / "failure.csv").write_text(delimited_text(failure, "segments", ","), encoding="utf-8")
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


if __name__ == "__main__":
    regenerate(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
