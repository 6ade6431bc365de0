"""Test the timeline of a recording in a terminal: times, colors, mismatches, and escaped names."""

import re

import pytest

from avscene.cli.output import timeline
from avscene.cli.output.files import printable
from avscene.records import Prediction
from tests.reports.recordings.test_formats import MADE, each_prediction, made_of


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
