"""The report: complete, self-contained, inert to hostile names, and right about what it says."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from avscene.errors import DataError
from avscene.evaluation.comparison import compare
from avscene.evaluation.measurement import measure
from avscene.labels import LabelSet
from avscene.reports.evaluation import page as module
from avscene.reports.evaluation.page import ReportRow, Timeline, write_report
from avscene.reports.plots import confusion_figure, figure_html, reliability_figure, risk_figure
from avscene.tables.score_table import ScoreTable
from tests.support.html_page import Page

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;<!--"
LABELS = LabelSet(("park", "tram", "2024-01-01"))


def table(labels: LabelSet = LABELS, seed: int = 0) -> ScoreTable:
    rng = np.random.default_rng(seed)
    names = tuple(labels.names[index] for index in rng.integers(0, 2, 40))
    p = rng.dirichlet(np.ones(len(labels)), 40)
    return ScoreTable(labels, tuple(f"{index // 2}.mp4" for index in range(40)), p, np.arange(40.0) % 2, truth=names)


def timeline(**changes) -> Timeline:
    parts = {
        "title": "a.mp4",
        "labels": LABELS,
        "starts": np.arange(4.0),
        "ends": np.arange(4.0) + 1,
        "probabilities": np.array([[0.7, 0.2, 0.1], [np.nan] * 3, [0.1, 0.8, 0.1], [0.6, 0.2, 0.2]]),
        "truth": "park",
        "frames": [np.full((90, 120, 3), (10 * index, 200, 30), np.uint8) for index in range(4)],
    }
    return Timeline(**(parts | changes))


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Writes a report and parses it; Plotly's own code is left out to keep this quick."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* plotly */")

    def write(**changes) -> Page:
        parts = {"title": "T", "summary": "One.\n\nTwo.", "rows": rows()}
        write_report(tmp_path / "r.html", **(parts | changes))
        return Page((tmp_path / "r.html").read_text("utf-8"))

    return write


def row(made: ScoreTable, name: str = "first", measured_on: str = "test") -> ReportRow:
    return ReportRow(name, "note", measure(made), "train", measured_on, made)


def rows() -> list[ReportRow]:
    return [
        row(table()),
        replace(row(table(seed=1), "second"), table=None),
        replace(row(table(seed=2), "elsewhere", "another test"), table=None),
    ]


def test_it_carries_everything_it_needs(tmp_path):
    path = tmp_path / "deep" / "r.html"
    write_report(path, title="T", summary="S", rows=rows(), timeline=timeline())
    text = path.read_text("utf-8")
    assert text.count("plotly.js v") == 1, "plotly's code is there, once"
    assert [item.name for item in path.parent.iterdir()] == ["r.html"]
    seen = Page(text)
    assert not [a for a in seen.of("script") if "src" in a]
    assert not seen.of("link")
    assert not seen.of("iframe")
    assert all(a["src"].startswith("data:image/jpeg;base64,") for a in seen.of("img"))
    assert all(a["href"].startswith("#") for a in seen.of("a"))
    policy = next(a["content"] for a in seen.of("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_semantics(page):
    seen = page(timeline=timeline())
    assert seen.texts["h1"] == ["T"]
    assert seen.texts["h2"] == ["Results", "What the figures mean", "first", "Over time: a.mp4"]
    assert seen.of("html") == [{"lang": "en"}]
    assert all(a.get("scope") in ("row", "col") for a in seen.of("th"))
    assert all(a.get("alt") for a in seen.of("img"))
    assert len(seen.of("figure")) == len(seen.of("figcaption")) == 4
    assert all(a.get("aria-label") for a in seen.of("div") if a.get("class") == "plot")
    ids = [a["id"] for _, a in seen.elements if "id" in a]
    assert {a["href"][1:] for a in seen.of("a")} == set(ids)
    shown = {text for text in seen.texts["th"] if text not in ("System", "Fitted on", "Measured on")}
    explained = set(seen.texts["dt"])
    assert {"Log loss", "Accuracy", "Calibration error", "Brier score", "Risk-coverage area", "Precision", "n"} <= shown
    assert {"Class mean", "Recall", "F1", "Interval", "p", "Oracle", "Risk, coverage"} <= explained
    headings = {text.removesuffix(", class mean") for text in shown} - set(LABELS) - {"↓", "↑", "Scene"} - {"first"}
    assert headings - {"second", "elsewhere"} <= explained, "every figure is explained"
    assert "1.10 for 3 scenes" in "".join(seen.texts["dd"])


def test_best_is_marked_among_rows_measured_alike(page):
    seen = page()
    marked = [a for a in seen.of("span") if a.get("class") == "best"]
    assert len(marked) == 7, "one of two rows for each of seven figures; the third row has no rival"
    first, second, _ = (row.measured.segments for row in rows())
    best = min(first.log_loss, second.log_loss)
    assert f"{best:.3f}" in seen.texts["span"]
    assert f"{max(first.log_loss, second.log_loss):.3f}" in seen.texts["td"]
    assert f"{max(first.accuracy, second.accuracy):.3f}" in seen.texts["span"]
    assert "\N{EN DASH}" in seen.texts["td"], "no row is 2024-01-01: its recall is undefined"


def test_equal_rows_are_both_best(page):
    seen = page(rows=[rows()[0]] * 2)
    assert len([a for a in seen.of("span") if a.get("class") == "best"]) == 14


def test_hostile_names_are_inert(page):
    labels = LabelSet((HOSTILE, "<b>x</b>", "tram"))
    hostile = table(labels)
    named = ScoreTable(labels, (HOSTILE,) * 40, hostile.probabilities, np.arange(40.0), truth=hostile.truth)
    named = replace(named, groups=tuple(HOSTILE + str(at % 4) for at in range(40)))
    seen = page(
        title=HOSTILE,
        summary=HOSTILE,
        rows=[ReportRow(HOSTILE, HOSTILE, measure(named), HOSTILE, HOSTILE, named)],
        comparison=compare({HOSTILE: named, "<b>other</b>": named}),
        timeline=timeline(title=HOSTILE, labels=labels, truth=HOSTILE),
    )
    assert len(seen.of("script")) == 5 + 2, "five figures, Plotly and ours"
    assert not [a for _, a in seen.elements if "onerror" in a]
    assert not seen.of("b")
    assert seen.texts["h1"] == [HOSTILE]
    assert HOSTILE in seen.texts["a"]
    raw = figure_html({"data": [HOSTILE], "layout": {"height": 1}}, HOSTILE)
    assert Page(raw).figures == [{"data": [HOSTILE], "layout": {"height": 1}}], "cannot end its element"
    drawn = json.dumps([figure["data"] + [figure["layout"]] for figure in seen.figures])
    assert "<script" not in drawn, "Plotly renders markup in texts"
    assert "<b>x" not in drawn
    assert "&lt;b&gt;x" in drawn


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_report(tmp_path / name, title="T", summary="S", rows=rows(), timeline=timeline())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_confusion_figure_counts():
    labels = LabelSet(("a", "b"))
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    heat, numbers = confusion_figure(ScoreTable(labels, ("1", "2", "3"), p, truth=("a", "a", "b")))["data"]
    assert heat["z"] == [[0.5, 0.5], [1, 0]]
    cells = dict(zip(zip(numbers["y"], numbers["x"], strict=True), numbers["text"], strict=True))
    assert cells == {(0, 0): "1", (0, 1): "1", (1, 0): "1"}
    assert heat["hovertext"][0][1] == "true: a<br>answer: b<br>1 of 2 (50.0%)"


def test_scenes_are_never_dates():
    layout = confusion_figure(table())["layout"]
    assert layout["xaxis"]["type"] == layout["yaxis"]["type"] == "linear"
    assert layout["xaxis"]["ticktext"][2] == "2024-01-01"


def test_reliability_figure_counts_every_row():
    _, curve, bars = reliability_figure(table())["data"]
    assert sum(curve["customdata"]) == sum(bars["y"]) == 40


def test_plotly_accepts_the_figures(page):
    import plotly.graph_objects as go

    for figure in page(timeline=timeline()).figures:
        resolved = re.sub(r"theme:[a-z-]+", "#123456", json.dumps(figure))
        go.Figure(json.loads(resolved))


def test_captions_tell_the_main_mistake_and_the_confidence(page):
    labels = LabelSet(("park", "tram"))
    p = np.array([[0.9, 0.1]] * 4)
    sure = ScoreTable(labels, tuple("1234"), p, truth=("park", "tram", "tram", "park"))
    said = "".join(page(rows=[row(sure)]).texts["figcaption"])
    assert "tram answered as park, 2 of 2" in said
    assert "Mean confidence 0.900, accuracy 0.500: on the whole too sure of itself" in said
    right = ScoreTable(labels, tuple("1234"), p, truth=("park",) * 4)
    said = "".join(page(rows=[row(right)]).texts["figcaption"])
    assert re.search("No answer was wrong.*on the whole too cautious", said)


def test_without_rows_there_is_nothing_but_meanings(page):
    assert page(rows=[]).texts["h2"] == ["What the figures mean"]


def test_extent_tells_segments_from_recordings(page):
    whole = replace(table(), truth=("park",) * 40, groups=tuple(str(at // 8) for at in range(40)))
    seen = page(rows=[row(whole), row(whole.by_recording(), "recordings")])
    assert {"40 segments of 20 recordings in 5 groups.", "20 recordings in 5 groups."} <= set(seen.texts["p"])
    assert any(text.startswith("40 segments of 20 recordings. No intervals: ") for text in page().texts["p"])


def test_intervals_stand_below_their_figures(page):
    grouped = replace(table(), groups=tuple(str(at // 8) for at in range(40)))
    found = measure(grouped)
    said = page(rows=[row(grouped)]).texts["span"]
    for interval in (*found.intervals.values(), *found.class_intervals["park"].values()):
        assert f"{interval.low:.3f} to {interval.high:.3f}" in said


def test_cities_and_unseen_pairs_have_tables_where_they_are_known(page):
    names = tuple(f"{('park', 'tram')[at % 2]}-{('lyon', 'lisbon')[at // 20]}-{at}-0.mp4" for at in range(40))
    named = replace(table(), filenames=names, truth=("park", "tram") * 20)
    found = measure(named, seen={("park", "lyon"), ("tram", "lyon"), ("park", "lisbon")})
    seen = page(rows=[replace(row(named), measured=found)])
    assert {"Figures per city", "Scenes in cities that training had, and had not"} <= set(seen.texts["h3"])
    assert "Training had no recording of: tram in lisbon." in seen.texts["p"]
    assert {"lyon", "lisbon", "seen in training", "not seen"} <= set(seen.texts["th"])
    assert "Figures per city" not in page().texts["h3"]


def test_a_comparison_says_who_is_right_where_another_is_wrong(page):
    first, second = (replace(table(seed=seed), truth=("park",) * 40) for seed in (0, 1))
    found = compare({"first": first, "second": second})
    seen = page(rows=[row(first), row(second, "second")], comparison=found)
    assert {"Differences to the best", "Who is right where another is wrong"} <= set(seen.texts["h2"])
    heat, numbers = seen.figures[0]["data"]
    (pair,) = found.pairs
    assert heat["z"] == [[None, round(pair.only_first, 4)], [round(pair.only_second, 4), None]]
    assert numbers["text"] == [f"{pair.only_first:.1%}"[:-1], f"{pair.only_second:.1%}"[:-1]]
    assert heat["zmax"] == max(pair.only_first, pair.only_second)
    assert any(f"is right on {heat['zmax']:.1%} where" in text for text in seen.texts["figcaption"])


def test_risk_figure_ends_with_everything_answered():
    level, curve = risk_figure(table())["data"]
    wrong = 1 - measure(table()).segments.accuracy
    assert (curve["x"][-1], curve["y"][-1]) == (1, pytest.approx(wrong, abs=1e-4))
    assert level["y"] == [pytest.approx(wrong)] * 2


def test_the_caption_of_risk_tells_what_the_surest_half_costs(page):
    labels = LabelSet(("park", "tram"))
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    made = ScoreTable(labels, tuple("1234"), p, truth=("park", "park", "tram", "park"))
    said = "".join(page(rows=[row(made)]).texts["figcaption"])
    assert "Of the surest 50% (confidence at least 0.800), 0.0% are wrong; of all, 25.0%." in said
    flat = replace(made, probabilities=np.array([[0.9, 0.1]] * 4))
    assert "Most rows are equally sure" in "".join(page(rows=[row(flat)]).texts["figcaption"])


def test_timeline_in_time(page):
    gap = timeline(starts=np.array([0.0, 1, 5, 6]), ends=np.array([1.5, 2, 6, 8]))
    seen = page(rows=[], timeline=gap)
    (heat,) = seen.figures[0]["data"]
    assert heat["x"] == [0, 1, 2, 5, 6, 8]
    assert heat["z"][0] == [0.7, None, None, 0.1, 0.6]
    lefts = [float(re.search(r"left:([\d.]+)%", a["style"])[1]) for a in seen.of("img")]
    assert lefts == pytest.approx([9.375, 18.75, 68.75, 87.5], abs=0.01)
    assert "park (0.47). True scene: park" in "".join(seen.texts["figcaption"])


def test_thumbnails_are_small_jpegs_of_their_segments(page):
    many = 40
    frames = [np.full((480, 640, 3), (6 * index, 90, 30), np.uint8) for index in range(many)]
    long = timeline(
        starts=np.arange(many) * 1.0,
        ends=np.arange(many) + 1.0,
        probabilities=np.full((many, 3), 1 / 3),
        frames=frames,
    )
    images = page(rows=[], timeline=long).of("img")
    assert len(images) == 12
    for a in images:
        image = Image.open(io.BytesIO(base64.b64decode(a["src"].partition(",")[2])))
        assert image.format == "JPEG"
        assert max(image.size) == 240
        second = float(re.match(r"Frame between (\d+)", a["alt"])[1])
        assert image.getpixel((5, 5))[0] == pytest.approx(6 * second, abs=4)


def test_photograph_and_unscored_and_frameless(page):
    photograph = timeline(
        starts=np.zeros(1), ends=np.zeros(1), probabilities=np.full((1, 3), np.nan), frames=(), truth=None
    )
    seen = page(rows=[], timeline=photograph)
    assert seen.figures[0]["data"][0]["x"] == [0, 1]
    assert not seen.of("img")
    assert "No segment could be scored" in "".join(seen.texts["figcaption"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ends": np.ones(3)}, "4 starts, 3 ends"),
        ({"probabilities": np.ones((4, 2))}, "do not fit 3 scenes"),
        ({"starts": np.zeros(0), "ends": np.zeros(0)}, "0 starts"),
        ({"frames": [np.zeros((2, 2, 3), np.uint8)]}, "1 frames do not fit 4 segments"),
        ({"starts": np.array([0.0, 2, 1, 3])}, "follow each other"),
        ({"ends": np.array([1.0, 0.5, 3, 4])}, "follow each other"),
    ],
)
def test_malformed_timeline(changes, message):
    with pytest.raises(ValueError, match=message):
        timeline(**changes)


def test_a_failed_write_leaves_the_old_report(tmp_path, page, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("old")
    monkeypatch.setattr(module, "_results", lambda *_: "\udcff")
    with pytest.raises(DataError, match="cannot be written"):
        page()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["r.html"]
