"""Test the output formats against committed files and against what other programs read from them."""

import csv
import io
import json
import re
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avscene.errors import UsageError
from avscene.labels import LabelSet
from avscene.records import Prediction, SegmentPrediction, json_line
from avscene.reports.recordings import formats
from avscene.tables.prediction_table import read_table

GOLDEN = Path(__file__).parents[2] / "golden"
SCRIPT = runpy.run_path(str(GOLDEN / "regenerate_formats.py"))
FILES = sorted(path.name for path in (GOLDEN / "formats").iterdir())
MADE = {name: make() for name, make in SCRIPT["PREDICTIONS"].items()}
LABELS = LabelSet(("park", "tram", "bus"))

each_prediction = pytest.mark.parametrize("prediction", MADE.values(), ids=MADE)


def made_of(*tops: int, hop: float = 1.0, source: str = "a.mp4") -> Prediction:
    """Return a prediction whose segments have the scenes of these indices, with probability 0.6."""
    rows = np.array([np.where(np.arange(3) == top, 0.6, 0.2) for top in tops])
    segments = tuple(SegmentPrediction(k * hop, (k + 1) * hop, row) for k, row in enumerate(rows))
    has = {"audio": True, "video": True}
    return Prediction(source, len(tops) * hop, "fast", LABELS, has, rows.mean(axis=0), segments)


def test_the_script_regenerates_the_committed_files(tmp_path: Path) -> None:
    SCRIPT["regenerate"](tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (GOLDEN / "formats" / name).read_bytes(), name


@each_prediction
def test_json_and_jsonl_equal_the_prediction(prediction: Prediction) -> None:
    line = json_line(prediction)
    assert line.count("\n") == 1
    assert line.isascii()
    assert json.loads(line) == json.loads(formats.json_text(prediction)) == prediction.to_dict()


@each_prediction
@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_the_table_reader_reads_csv_and_tsv(prediction: Prediction, delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / ("t.csv" if delimiter == "," else "t.tsv")
    made = formats.DelimitedRows("segments", prediction.labels, delimiter)
    text = made.header() + made.rows(prediction)
    path.write_text(text, encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter))
    assert [row["filename"] for row in rows] == [prediction.source] * len(prediction.segments)
    for row, segment in zip(rows, prediction.segments, strict=True):
        top = max(prediction.labels, key=lambda name: float(row[name]))
        assert row["scene_label"] == (top if segment.accepted else "")
        assert float(row["start"]) == segment.start
    if delimiter == "\t" and "\t" in prediction.source:
        return  # only csv readers can read a tab in a name
    table = read_table(path)
    assert table.labels == prediction.labels
    assert table.starts is not None
    np.testing.assert_array_equal(table.starts, [segment.start for segment in prediction.segments])
    np.testing.assert_allclose(
        table.probabilities, [segment.probabilities for segment in prediction.segments], atol=1e-8
    )


def test_two_recordings_make_one_table(tmp_path: Path) -> None:
    made = formats.DelimitedRows("segments", LABELS, ",")
    texts = [made.header(), made.rows(made_of(0, 1)), made.rows(made_of(2, source="b.mp4"))]
    (tmp_path / "t.csv").write_text("".join(texts))
    table = read_table(tmp_path / "t.csv")
    assert table.filenames == ("a.mp4", "a.mp4", "b.mp4")


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.sampled_from([0.25, 0.5, 1.0, 2.0]))
def test_scene_spans_cover_the_segments_and_neighbours_differ(tops: list[int], hop: float) -> None:
    prediction = made_of(*tops, hop=hop)
    found = formats.scene_spans(prediction)
    assert found[0].start == 0
    assert found[-1].end == len(tops) * hop
    for before, after in pairwise(found):
        assert before.end == after.start
        assert before.scene != after.scene
    spread = [span.scene for span in found for _ in range(round((span.end - span.start) / hop))]
    assert spread == [LABELS.names[top] for top in tops]
    assert all(span.score == pytest.approx(0.6) for span in found)


VTT_TIME = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})")


@each_prediction
def test_webvtt_cues_are_valid(prediction: Prediction) -> None:
    header, *cues = formats.webvtt(prediction).rstrip("\n").split("\n\n")
    assert header == "WEBVTT"
    assert len(cues) == len(formats.scene_spans(prediction, by_mismatch=True))
    for cue in cues:
        timing, text = cue.split("\n")
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", text)
        start, end = (
            sum(int(n) * f for n, f in zip(VTT_TIME.fullmatch(t).groups(), (3600, 60, 1, 1e-3), strict=True))  # type: ignore[union-attr]
            for t in timing.split(" --> ")
        )
        assert start < end  # players do not show a cue of length 0


@each_prediction
def test_srt_is_webvtt_with_numbers_and_commas(prediction: Prediction) -> None:
    blocks = formats.subrip(prediction).rstrip("\n").split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == [str(n) for n in range(1, len(blocks) + 1)]
    timings = [block.split("\n")[1] for block in blocks]
    assert all(re.fullmatch(r"[\d:]+,\d{3} --> [\d:]+,\d{3}", timing) for timing in timings)
    cues = formats.webvtt(prediction).rstrip("\n").split("\n\n")[1:]
    assert [timing.replace(",", ".") for timing in timings] == [cue.split("\n")[0] for cue in cues]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00:00.000"),
        (59.9994, "00:00:59.999"),
        (59.9996, "00:01:00.000"),
        (3599.9999, "01:00:00.000"),
        (86399.5, "23:59:59.500"),
        (360000, "100:00:00.000"),
    ],
)
def test_times_of_subtitles(seconds: float, text: str) -> None:
    assert formats.subtitle_time(seconds, ".") == text
    assert formats.subtitle_time(seconds, ",") == text.replace(".", ",")


def test_segments_below_the_threshold_are_unknown() -> None:
    not_accepted = MADE["not_accepted"]
    assert [span.label for span in formats.scene_spans(not_accepted)] == ["park", "unknown"]
    assert formats.audacity(not_accepted).splitlines()[1].split("\t")[2] == "unknown"
    assert "\nunknown\n" in formats.webvtt(not_accepted)


def test_a_mismatch_is_in_subtitles_and_labels() -> None:
    not_accepted = MADE["not_accepted"]
    cues = [cue.split("\n") for cue in formats.webvtt(not_accepted).rstrip().split("\n\n")[1:]]
    assert [(timing[:12], text.endswith(", mismatch")) for timing, text in cues] == [
        *(("00:00:00.000", True), ("00:00:01.000", True), ("00:00:02.000", False)),
    ]
    assert formats.audacity(not_accepted).splitlines()[-1] == "0.000000\t2.000000\tmismatch 81%"
    assert "mismatch" not in formats.subrip(MADE["recording"])


@each_prediction
@pytest.mark.parametrize(
    ("name", "suffix"),
    [("json", "json"), ("csv", "csv"), ("vtt", "vtt"), ("srt", "srt"), ("audacity", "audacity.txt")],
)
def test_the_file_of_one_recording_is_that_of_the_golden_files(
    prediction: Prediction, name: str, suffix: str, request: pytest.FixtureRequest
) -> None:
    golden = GOLDEN / "formats" / f"{request.node.callspec.id.split('-')[-1]}.{suffix}"
    mark = b"\xef\xbb\xbf" if name == "csv" else b""
    assert formats.recording_text(prediction, name).encode() == mark + golden.read_bytes()


def test_a_format_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(UsageError, match="format 'html' is not one of json, csv, vtt, srt, audacity"):
        formats.recording_text(MADE["photograph"], "html")
