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
from avscene.evaluation import report as module
from avscene.evaluation.metrics import evaluate
from avscene.evaluation.plots import confusion_figure, figure_html, reliability_figure
from avscene.evaluation.report import ReportRow, Timeline, write_report
from avscene.evaluation.table import ScoreTable
from avscene.labels import LabelSet
from html_page import Page

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
        parts = {"title": "T", "summary": "One.\n\nTwo.", "rows": rows(), "tables": {"first": table()}}
        write_report(tmp_path / "r.html", **(parts | changes))
        return Page((tmp_path / "r.html").read_text("utf-8"))

    return write


def rows(name: str = "first") -> list[ReportRow]:
    return [
        ReportRow(name, "note", evaluate(table()), "train", "test"),
        ReportRow("second", "", evaluate(table(seed=1)), "train", "test"),
        ReportRow("elsewhere", "", evaluate(table(seed=2)), "train", "another test"),
    ]


def test_it_carries_everything_it_needs(tmp_path):
    path = tmp_path / "deep" / "r.html"
    write_report(path, title="T", summary="S", rows=rows(), tables={"first": table()}, timeline=timeline())
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
    assert len(seen.of("figure")) == len(seen.of("figcaption")) == 3
    assert all(a.get("aria-label") for a in seen.of("div") if a.get("class") == "plot")
    ids = [a["id"] for _, a in seen.elements if "id" in a]
    assert {a["href"][1:] for a in seen.of("a")} == set(ids)
    explained = {"Log loss", "Accuracy", "Class mean", "Calibration error", "Precision", "Recall", "F1", "n"}
    assert set(seen.texts["dt"]) == explained
    assert "1.10 for 3 scenes" in "".join(seen.texts["dd"])


def test_best_is_marked_among_rows_measured_alike(page):
    seen = page()
    marked = [a for a in seen.of("span") if a.get("class") == "best"]
    assert len(marked) == 5, "one of two rows for each of five figures; the third row has no rival"
    first, second, _ = (row.evaluation for row in rows())
    best = min(first.log_loss, second.log_loss)
    assert f"{best:.3f}" in seen.texts["span"]
    assert f"{max(first.log_loss, second.log_loss):.3f}" in seen.texts["td"]
    assert f"{max(first.accuracy, second.accuracy):.3f}" in seen.texts["span"]
    assert "\N{EN DASH}" in seen.texts["td"], "no row is 2024-01-01: its recall is undefined"


def test_equal_rows_are_both_best(page):
    seen = page(rows=[rows()[0]] * 2)
    assert len([a for a in seen.of("span") if a.get("class") == "best"]) == 10


def test_hostile_names_are_inert(page):
    labels = LabelSet((HOSTILE, "<b>x</b>", "tram"))
    hostile = table(labels)
    named = ScoreTable(labels, (HOSTILE,) * 40, hostile.probabilities, np.arange(40.0), truth=hostile.truth)
    row = ReportRow(HOSTILE, HOSTILE, evaluate(named), HOSTILE, HOSTILE)
    seen = page(
        title=HOSTILE,
        summary=HOSTILE,
        rows=[row],
        tables={HOSTILE: named},
        timeline=timeline(title=HOSTILE, labels=labels, truth=HOSTILE),
    )
    assert len(seen.of("script")) == 3 + 2, "three figures, Plotly and ours"
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
        write_report(tmp_path / name, title="T", summary="S", rows=rows(), tables={"t": table()}, timeline=timeline())
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
    said = "".join(page(tables={"t": sure}).texts["figcaption"])
    assert "tram answered as park, 2 of 2" in said
    assert "Mean confidence 0.900, accuracy 0.500: on the whole too sure of itself" in said
    right = ScoreTable(labels, tuple("1234"), p, truth=("park",) * 4)
    said = "".join(page(tables={"t": right}).texts["figcaption"])
    assert re.search("No answer was wrong.*on the whole too cautious", said)


def test_a_table_without_truth_is_named_not_drawn(page):
    bare = ScoreTable(LABELS, ("x",), np.array([[0.5, 0.3, 0.2]]))
    seen = page(tables={"bare": bare})
    assert "bare" in seen.texts["h2"]
    assert not seen.figures
    assert page(rows=[], tables={}).texts["h2"] == ["What the figures mean"]
    assert any("1 rows without true scenes" in text for text in seen.texts["p"])


def test_extent_tells_segments_from_recordings(page):
    whole = replace(table(), truth=("park",) * 40)
    seen = page(tables={"segments": whole, "recordings": whole.by_recording()})
    assert {"40 segments of 20 recordings", "20 recordings"} <= set(seen.texts["p"])


def test_timeline_in_time(page):
    gap = timeline(starts=np.array([0.0, 1, 5, 6]), ends=np.array([1.5, 2, 6, 8]))
    seen = page(tables={}, timeline=gap)
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
    images = page(tables={}, timeline=long).of("img")
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
    seen = page(tables={}, timeline=photograph)
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
