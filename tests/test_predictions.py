"""Test what predictions can do: tables, figures, notebooks, the top scenes, and one line of text."""

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from avscene.errors import PackageError, UsageError
from avscene.figures import LIGHT, merged_columns
from avscene.labels import LabelSet
from avscene.records import Prediction, SegmentPrediction
from avscene.verdicts import Familiarity, Mismatch
from tests.support.processes import ROOT

SCENES = LabelSet(("park", "<b>tram</b> & co", "start"))


def prediction(n: int = 4, *, source: str = "a <script>.mp4", gap: bool = False) -> Prediction:
    random = np.random.default_rng(3)
    rows = random.dirichlet(np.ones(3), n)
    segments = tuple(
        SegmentPrediction(
            float(k + (gap and k > 1)),
            k + 1.0 + (gap and k > 1),
            row,
            {"video": row},
            Mismatch(0.25, verdict=False) if k else None,
            accepted=k != 2,
            familiarity=Familiarity(0.5),
        )
        for k, row in enumerate(rows)
    )
    has: Any = {"audio": False, "video": True}
    overall = np.array([0.2, 0.5, 0.3])
    return Prediction(source, float(n), "fast", SCENES, has, overall, segments, ("the <i>audio</i> is silent",))


def test_segments_know_their_scenes() -> None:
    found = prediction()
    written = found.to_dict()["segments"]
    for segment, values in zip(found.segments, written, strict=True):
        assert (segment.scene, round(segment.score, 6), segment.scores) == (
            values["scene"], values["score"], values["scores"],
        )  # fmt: skip
        assert segment.to_dict() == values
    assert found.segments[2].scene is None
    with pytest.raises(ValueError, match="no labels"):
        _ = SegmentPrediction(0, 1, np.array([0.5, 0.5])).scene


def test_the_top_scenes() -> None:
    found = prediction()
    assert found.top(2) == [("<b>tram</b> & co", 0.5), ("start", 0.3)]
    assert [scene for scene, _ in found.top(99)] == ["<b>tram</b> & co", "start", "park"]
    assert found.top(1)[0] == (found.scene, found.score)
    for wrong in (0, -1, "2", 1.5, True, None):
        with pytest.raises(UsageError, match=r"^k is .*; accepted: an integer of 1 or more$"):
            found.top(wrong)  # type: ignore[arg-type]


def test_texts_are_one_line() -> None:
    found = prediction(source="a\nb.mp4")
    assert repr(found) == "Prediction('a\\nb.mp4': <b>tram</b> & co 50%, 4 segments in 4.0 s, system fast)"
    assert re.fullmatch(r"SegmentPrediction\(0 to 1 s: \S.* \d+%\)", repr(found.segments[0]))
    assert "unknown" in repr(found.segments[2])


def test_tables_have_a_row_for_each_segment() -> None:
    pandas = pytest.importorskip("pandas")
    found = prediction()
    table, frame = found.to_arrow(), found.to_pandas()
    fixed = ["filename", "start", "end", "scene_label", "score", "mismatch", "familiarity"]
    assert table.column_names == list(frame.columns) == [*fixed, "park", "<b>tram</b> & co", "scene:start"]
    assert isinstance(frame, pandas.DataFrame)
    for row, segment in zip(table.to_pylist(), found.segments, strict=True):
        assert [row["park"], row["<b>tram</b> & co"], row["scene:start"]] == segment.probabilities.tolist()
        assert (row["filename"], row["start"], row["end"]) == (found.source, segment.start, segment.end)
        assert (row["scene_label"], row["score"], row["familiarity"]) == (segment.scene, segment.score, 0.5)
    assert table["mismatch"].to_pylist() == [None, 0.25, 0.25, 0.25]
    assert frame["scene_label"].isna().tolist() == [False, False, True, False]


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avscene.records.prediction.find_spec", lambda _: None)
    with pytest.raises(PackageError, match=r"to_pandas: pandas is not installed; try: pip install 'avscene\[pandas\]'"):
        prediction().to_pandas()


@pytest.mark.parametrize("gap", [False, True])
def test_the_figure_is_that_of_plotly(gap: bool) -> None:
    from plotly.graph_objects import Figure

    found = prediction(gap=gap)
    figure = found.plot()
    assert isinstance(figure, Figure)
    (heat,) = figure.data
    columns = np.array(heat.z, float).T
    rows = [segment.probabilities for segment in found.segments]
    if gap:
        assert np.isnan(columns[2]).all()
        columns = np.delete(columns, 2, axis=0)
    np.testing.assert_allclose(columns, rows, atol=1e-4)
    assert list(heat.x) == ([0, 1, 2, 3, 4, 5] if gap else [0, 1, 2, 3, 4])
    assert figure.layout.title.text == "a &lt;script&gt;.mp4"
    assert figure.layout.yaxis.ticktext[1] == "&lt;b&gt;tram&lt;/b&gt; &amp; co"
    assert "theme:" not in figure.to_json()


def test_the_light_colours_are_those_of_the_report() -> None:
    css = (ROOT / "src/avscene/reports/report.css").read_text()
    light = dict(re.findall(r"--([\w-]+): (#\w+)", css[: css.index("@media")]))
    assert {name: light[name] for name in LIGHT} == LIGHT


class Reader(HTMLParser):
    """Checks that elements are closed in order, and collects them and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)
        if tag not in ("br", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(found: Prediction) -> Reader:
    reader = Reader()
    reader.feed(found._repr_html_())
    assert reader.open == []
    assert not {"script", "b", "i", "link", "img"} & set(reader.found)
    return reader


def test_a_notebook_shows_a_timeline_and_tables() -> None:
    found = prediction()
    reader = read(found)
    assert {"svg", "table", "details"} <= set(reader.found)
    for text in ("<b>tram</b> & co 50%", "a <script>.mp4", "the <i>audio</i> is silent", "4 segments", "50.0%"):
        assert text in reader.text
    assert reader.found.count("rect") <= 12
    assert "0 segments" not in reader.text


def test_long_recordings_and_photographs_are_shown_in_bounded_space() -> None:
    long = prediction(20_000)
    assert len(long._repr_html_()) < 100_000
    assert "and 19900 more" in read(long).text
    assert len(long.plot().data[0].z[0]) == 2000
    photograph = Prediction(
        "a.png", 0.0, "fast", SCENES, {"audio": False, "video": True}, np.array([0.2, 0.5, 0.3]),
        (SegmentPrediction(0.0, 0.0, np.array([0.2, 0.5, 0.3])),),
    )  # fmt: skip
    assert read(photograph).found.count("rect") == 3
    photograph.plot()


def test_merged_columns_are_means_over_time() -> None:
    edges = np.array([0.0, 1.0, 3.0, 4.0, 5.0])
    columns = np.array([[0.0], [0.9], [np.nan], [np.nan]])
    merged, values = merged_columns(edges, columns, 2)
    assert merged.tolist() == [0, 3, 5]
    assert values[0, 0] == pytest.approx(0.6)
    assert np.isnan(values[1, 0])
    assert merged_columns(edges, columns, 4)[1] is columns
