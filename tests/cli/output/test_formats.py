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

from avscene.cli.output import formats, timeline
from avscene.cli.output.files import printable
from avscene.labels import LabelSet
from avscene.records import Prediction, SegmentPrediction, json_line
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


@pytest.mark.parametrize(
    ("seconds", "tenths", "text"),
    [
        (0, False, "0:00"),
        (59.4, False, "0:59"),
        (59.6, False, "1:00"),
        (3599.6, False, "1:00:00"),
        (0.5, True, "0:00.5"),
        (59.96, True, "1:00.0"),
        (3661, True, "1:01:01.0"),
    ],
)
def test_times_of_the_timeline(seconds: float, tenths: bool, text: str) -> None:
    assert timeline.short_time(seconds, tenths=tenths) == text


@each_prediction
def test_colors_do_not_change_the_text(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    plain = timeline.timeline_text(prediction, colored=False)
    colored = timeline.timeline_text(prediction, colored=True)
    assert "\x1b" not in plain
    assert "\x1b[" in colored
    bare = re.sub(r"\x1b\[[\d;]*m", "", colored).split("\n")
    (strip,) = (line for line in bare if re.fullmatch(r"\s*█+\s*", line))
    assert len(strip.strip()) == len(prediction.segments)
    bare.remove(strip)
    assert [line.split() for line in bare] == [line.split() for line in plain.split("\n")]


def test_the_strip_of_a_long_recording_is_proportional_to_time() -> None:
    text = timeline.timeline_text(made_of(*[0] * 900, *[1] * 2700), colored=True)
    strip = text.split("\n")[1]
    assert strip.count("█") == 60
    colors = re.findall(r"\x1b\[([\d;]+)m█", strip)
    assert colors == [colors[0]] * 15 + [colors[-1]] * 45
    assert colors[0] != colors[-1]


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


def test_the_timeline_explains_a_mismatch() -> None:
    not_accepted = MADE["not_accepted"]
    head, *lines = timeline.timeline_text(not_accepted, colored=False).rstrip().split("\n")
    assert head == "dubbed.mp4  0:03  unknown  (fast, from audio and video)"
    shown = " ".join(line.strip() for line in lines)
    assert "mismatch: audio and video do not seem to belong together (88%)" in shown
    assert "mismatch: audio and video do not seem to belong together from 0:00 to 0:02 (81%)" in shown
    assert "for a prior of 0.01 (--prior), threshold 45%: of 100 intact recordings, 1.2 are expected above it" in shown
    assert "mismatch" not in timeline.timeline_text(MADE["recording"], colored=False)


def test_an_unfamiliar_recording_says_so_before_its_scenes() -> None:
    _, first, *rest = timeline.timeline_text(MADE["unfamiliar"], colored=False).split("\n")
    assert first.strip() == "unfamiliar: 2 of 3 segments are unlike those that the system was trained on;"
    assert any("park" in line for line in rest)
    assert "unfamiliar" not in timeline.timeline_text(MADE["recording"], colored=False)


def test_half_seconds_are_shown() -> None:
    assert "0:00.5 - 0:01.0" in timeline.timeline_text(made_of(0, 1, hop=0.5), colored=False)


def test_control_characters_in_names_are_escaped() -> None:
    text = timeline.timeline_text(made_of(0, source="a\x1b[2J\nb\u2028c ü 映.mp4"), colored=False)
    assert text.split("\n")[0].startswith("a\\x1b[2J\\nb\\u2028c ü 映.mp4  0:01")
    assert printable("\udcff\t") == "\\udcff\\t"
