"""Test the tables of outcomes: rows of segments, spans and recordings, failures, and cells that look like formulas."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from avscene.cli.output.parquet import write_parquet
from avscene.errors import DataError, MediaError
from avscene.labels import LabelSet
from avscene.records import Failure, Prediction, SegmentPrediction
from avscene.reports.recordings.formats import DelimitedRows
from avscene.reports.recordings.rows import ROW_KINDS, RowKind
from avscene.reports.recordings.spans import headline, recording_scenes
from avscene.tables.prediction_table import read_table
from avscene.verdicts import Mismatch, MismatchSpan, RecordingMismatch

LABELS = LabelSet(("suburb", "living_room", "forest", "metro"))
FAILURE = Failure("b.mp4", MediaError("b.mp4: is truncated"))


def film(*parts: tuple[int, int], certainty: float = 0.85, source: str = "a.mp4", **others: object) -> Prediction:
    """Return a prediction with parts of so many seconds of the scenes with these indices."""
    tops = [top for top, seconds in parts for _ in range(seconds)]
    rest = (1 - certainty) / 3
    rows = np.array([np.where(np.arange(4) == top, certainty, rest) for top in tops])
    segments = tuple(SegmentPrediction(float(k), k + 1.0, row) for k, row in enumerate(rows))
    has = {"audio": True, "video": True}
    return Prediction(source, float(len(tops)), "fast", LABELS, has, rows.mean(axis=0), segments, **others)  # type: ignore[arg-type]


def rows_of(kind: RowKind, *outcomes: Prediction | Failure, delimiter: str = ",") -> list[dict[str, str]]:
    """Return what the csv module reads of the text of outcomes."""
    made = DelimitedRows(kind, LABELS, delimiter)
    text = made.header() + "".join(map(made.rows, outcomes))
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def test_rows_of_each_kind_cover_a_recording() -> None:
    prediction = film((0, 5), (1, 3), (2, 4))
    segments, spans, recordings = (rows_of(kind, prediction, FAILURE) for kind in ROW_KINDS)
    assert [len(rows) for rows in (segments, spans, recordings)] == [13, 4, 2]
    assert [(row["start"], row["end"], row["scene_label"]) for row in spans[:-1]] == [
        *(("0", "5", "suburb"), ("5", "8", "living_room"), ("8", "12", "forest")),
    ]
    assert (recordings[0]["start"], recordings[0]["end"]) == ("0", "12")
    assert recordings[0]["scenes"] == "suburb, living_room, forest"
    for name in LABELS:  # the mean of the recording is that of its segments
        mean = np.mean([float(row[name]) for row in segments[:-1]])
        assert float(recordings[0][name]) == pytest.approx(mean)
    for rows in (segments, spans, recordings):
        failed = rows[-1]
        assert (failed["filename"], failed["error"]) == ("b.mp4", "is truncated")
        assert {value for name, value in failed.items() if name not in ("filename", "error")} == {""}


def test_a_mismatch_is_in_every_kind_of_rows() -> None:
    mismatch = RecordingMismatch(0.4, verdict=False, prior=0.01, threshold=0.5, spans=(MismatchSpan(2.0, 4.0, 0.9),))
    prediction = film((0, 6), mismatch=mismatch)
    prediction = Prediction(
        **{name: getattr(prediction, name) for name in ("source", "duration", "system", "labels", "modalities")},
        probabilities=prediction.probabilities,
        segments=tuple(
            SegmentPrediction(s.start, s.end, s.probabilities, mismatch=Mismatch(0.1 * s.start, verdict=False))
            for s in prediction.segments
        ),
        mismatch=mismatch,
    )
    segments, spans, recordings = (rows_of(kind, prediction) for kind in ROW_KINDS)
    assert [row["mismatch_verdict"] for row in segments] == ["false", "false", "true", "true", "false", "false"]
    assert [float(row["mismatch"]) for row in segments] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [(row["start"], row["end"], row["mismatch_verdict"]) for row in spans] == [
        *(("0", "2", "false"), ("2", "4", "true"), ("4", "6", "false")),
    ]
    assert (recordings[0]["mismatch_verdict"], recordings[0]["mismatch_spans"]) == ("false", "2-4")


FORMULAS = ["=1+2.mp4", "+1.mp4", "-dash.mp4", "@SUM(A1).mp4", "\t=1.mp4", "\uff1d1.mp4"]


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_no_cell_is_a_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, delimiter: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).touch()
    (first, *_), (failed,) = (
        rows_of("segments", outcome, delimiter=delimiter)
        for outcome in (film((0, 2), source=name), Failure(name, MediaError(f"{name}: is truncated")))
    )
    for row in (first, failed):
        assert row["filename"] == f"./{name}"
        assert Path(row["filename"]).samefile(name)
    assert failed["error"] == "is truncated"
    header = DelimitedRows("segments", LabelSet(("=a", "b")), delimiter).header()
    assert next(csv.reader([header], delimiter=delimiter))[-2:] == ["'=a", "b"]


def test_scenes_that_are_called_like_columns_keep_apart() -> None:
    labels = LabelSet(("end", "park", "error"))
    header = next(csv.reader([DelimitedRows("segments", labels, ",").header()]))
    assert header[-3:] == ["scene:end", "park", "scene:error"]
    assert len(set(header)) == len(header)


def test_parquet_has_the_rows_of_csv_with_types(tmp_path: Path) -> None:
    outcomes = [film((0, 5), (1, 3)), FAILURE]
    for kind in ROW_KINDS:
        write_parquet(tmp_path / "t.parquet", outcomes, kind, LABELS)
        table = pyarrow.parquet.read_table(tmp_path / "t.parquet")
        expected = rows_of(kind, *outcomes)
        assert table.column_names == list(expected[0])
        for row, values in zip(expected, table.to_pylist(), strict=True):
            for name, value in values.items():
                if value is None:
                    assert row[name] == ""
                elif isinstance(value, bool):
                    assert row[name] == str(value).lower()
                else:
                    assert row[name] == (value if isinstance(value, str) else f"{value:.9g}")
        assert {str(table.schema.field(name).type) for name in ("start", "end", "score", "suburb")} == {"double"}
        assert str(table.schema.field("unsure").type) == "bool"


@pytest.mark.parametrize("kind", ROW_KINDS)
def test_tables_with_failures_can_be_evaluated(tmp_path: Path, kind: RowKind) -> None:
    made = DelimitedRows(kind, LABELS, ",")
    path = tmp_path / "t.csv"
    path.write_text("\ufeff" + made.header() + made.rows(FAILURE) + made.rows(film((0, 2), (1, 3))), encoding="utf-8")
    table = read_table(path)
    assert table.labels == LABELS
    assert set(table.filenames) == {"a.mp4"}
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace(lines[2].split(",")[-1], "2")
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"line 3, column suburb \.\. metro: the probabilities sum to"):
        read_table(path)  # the line is that of the file, also after a failure
    path.write_text(made.header() + made.rows(FAILURE))
    with pytest.raises(DataError, match="all recordings failed"):
        read_table(path)


# --- the headline of a recording ---


def test_a_recording_of_several_scenes_is_headed_by_them() -> None:
    assert headline(film((0, 60), (1, 40), (2, 50))) == "suburb, living_room, forest"
    assert headline(film((2, 20), (0, 60), (2, 20))) == "forest, suburb"


def test_single_segments_and_short_spans_are_no_scene_of_their_own() -> None:
    assert recording_scenes(film((0, 20), (1, 1), (0, 20), (2, 1), (0, 5))) == ("suburb",)
    assert recording_scenes(film((0, 200), (1, 5))) == ("suburb",)
    assert recording_scenes(film((0, 2000), (1, 15))) == ("suburb", "living_room")  # however long the rest is


def test_low_confidence_is_called_unsure() -> None:
    assert headline(film((0, 10), certainty=0.4)) == "suburb 40%, unsure"
    assert headline(film((0, 5), (1, 5), certainty=0.4)) == "suburb 30%, unsure"
    assert headline(film((0, 10), certainty=0.6)) == "suburb 60%"
