"""Test the evaluation report: complete, self-contained, safe with hostile names, and with correct captions."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from avscene.errors import DataError
from avscene.evaluation.comparison import compare
from avscene.evaluation.measurement import measure
from avscene.labels import LabelSet
from avscene.reports.evaluation import page as page_module
from avscene.reports.evaluation.page import ReportRow, write_report
from avscene.reports.plots import figure_html
from avscene.tables.score_table import ScoreTable
from tests.support.html_page import Page
from tests.support.report_data import LABELS, build_timeline, random_table

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;<!--"


@pytest.fixture
def page(tmp_path, without_plotly_code):
    """Return a function that writes a report and parses it."""

    def write(**changes) -> Page:
        arguments = {"title": "T", "summary": "One.\n\nTwo.", "rows": build_rows()}
        write_report(tmp_path / "r.html", **(arguments | changes))
        return Page((tmp_path / "r.html").read_text("utf-8"))

    return write


def build_row(table: ScoreTable, name: str = "first", measured_on: str = "test") -> ReportRow:
    return ReportRow(name, "note", measure(table), "train", measured_on, table)


def build_rows() -> list[ReportRow]:
    return [
        build_row(random_table()),
        replace(build_row(random_table(seed=1), "second"), table=None),
        replace(build_row(random_table(seed=2), "elsewhere", "another test"), table=None),
    ]


def confident_table(truth: tuple[str, ...]) -> ScoreTable:
    """Return four rows of park with probability 0.9."""
    return ScoreTable(LabelSet(("park", "tram")), tuple("1234"), np.array([[0.9, 0.1]] * 4), truth=truth)


def test_page_is_self_contained(tmp_path):
    path = tmp_path / "deep" / "r.html"
    write_report(path, title="T", summary="S", rows=build_rows(), timeline=build_timeline())
    text = path.read_text("utf-8")
    assert text.count("plotly.js v") == 1, "Plotly's code is included once"
    assert [item.name for item in path.parent.iterdir()] == ["r.html"]
    page = Page(text)
    assert not [script for script in page.attributes("script") if "src" in script]
    assert not page.attributes("link")
    assert not page.attributes("iframe")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.attributes("img"))
    assert all(link["href"].startswith("#") for link in page.attributes("a"))
    policy = next(meta["content"] for meta in page.attributes("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_page_is_accessible_and_explains_its_metrics(page):
    parsed = page(timeline=build_timeline())
    assert parsed.texts["h1"] == ["T"]
    assert parsed.texts["h2"] == ["Results", "Glossary", "first", "Over time: a.mp4"]
    assert parsed.attributes("html") == [{"lang": "en"}]
    assert all(header.get("scope") in ("row", "col") for header in parsed.attributes("th"))
    assert all(image.get("alt") for image in parsed.attributes("img"))
    assert len(parsed.attributes("figure")) == len(parsed.attributes("figcaption")) == 4
    assert all(plot.get("aria-label") for plot in parsed.attributes("div") if plot.get("class") == "plot")
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert {link["href"][1:] for link in parsed.attributes("a")} == set(ids)
    columns = {text for text in parsed.texts["th"] if text not in ("System", "Fitted on", "Measured on")}
    explained = set(parsed.texts["dt"])
    calibration = "Expected calibration error (ECE)"
    assert {"Log loss", "Accuracy", calibration, "Brier score", "AURC", "Precision", "n"} <= columns
    assert {"Macro average", "Recall", "F1", "Interval", "p", "Oracle", "Coverage, risk"} <= explained
    metrics = {text.removesuffix(", macro average") for text in columns} - set(LABELS) - {"↓", "↑", "Scene", "first"}
    assert metrics - {"second", "elsewhere"} <= explained, "every metric is explained"
    assert "1.10 for 3 scenes" in "".join(parsed.texts["dd"])


def test_best_value_is_marked_among_rows_measured_on_the_same_data(page):
    parsed = page()
    marked = [span for span in parsed.attributes("span") if span.get("class") == "best"]
    assert len(marked) == 7, "one of two rows for each of seven metrics; the third row has other data"
    first, second, _ = (row.measured.segments for row in build_rows())
    assert f"{min(first.log_loss, second.log_loss):.3f}" in parsed.texts["span"]
    assert f"{max(first.log_loss, second.log_loss):.3f}" in parsed.texts["td"]
    assert f"{max(first.accuracy, second.accuracy):.3f}" in parsed.texts["span"]
    assert "\N{EN DASH}" in parsed.texts["td"], "no row is of scene 2024-01-01: its recall is undefined"


def test_equal_rows_are_both_marked_as_best(page):
    parsed = page(rows=[build_rows()[0]] * 2)
    assert len([span for span in parsed.attributes("span") if span.get("class") == "best"]) == 14


def test_hostile_names_are_escaped(page):
    labels = LabelSet((HOSTILE, "<b>x</b>", "tram"))
    table = random_table(labels)
    table = ScoreTable(labels, (HOSTILE,) * 40, table.probabilities, np.arange(40.0), truth=table.truth)
    table = replace(table, groups=tuple(HOSTILE + str(row % 4) for row in range(40)))
    parsed = page(
        title=HOSTILE,
        summary=HOSTILE,
        rows=[ReportRow(HOSTILE, HOSTILE, measure(table), HOSTILE, HOSTILE, table)],
        comparison=compare({HOSTILE: table, "<b>other</b>": table}),
        timeline=build_timeline(title=HOSTILE, labels=labels, truth=HOSTILE),
    )
    assert len(parsed.attributes("script")) == 5 + 2, "five figures, Plotly and report.js"
    assert not [attributes for _, attributes in parsed.elements if "onerror" in attributes]
    assert not parsed.attributes("b")
    assert parsed.texts["h1"] == [HOSTILE]
    assert HOSTILE in parsed.texts["a"]
    element = figure_html({"data": [HOSTILE], "layout": {"height": 1}}, HOSTILE)
    assert Page(element).figures == [{"data": [HOSTILE], "layout": {"height": 1}}], "text does not end the element"
    figures = json.dumps([figure["data"] + [figure["layout"]] for figure in parsed.figures])
    assert "<script" not in figures, "Plotly renders markup in texts"
    assert "<b>x" not in figures
    assert "&lt;b&gt;x" in figures


def test_same_input_gives_same_bytes(tmp_path):
    for name in "ab":
        write_report(tmp_path / name, title="T", summary="S", rows=build_rows(), timeline=build_timeline())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_plotly_accepts_the_figures(page):
    import plotly.graph_objects as go

    for figure in page(timeline=build_timeline()).figures:
        with_colors = re.sub(r"theme:[a-z-]+", "#123456", json.dumps(figure))
        go.Figure(json.loads(with_colors))


def test_captions_name_the_most_frequent_error_and_the_calibration(page):
    table = confident_table(("park", "tram", "tram", "park"))
    captions = "".join(page(rows=[build_row(table)]).texts["figcaption"])
    assert "tram predicted as park, 2 of 2" in captions
    assert "Mean confidence 0.900, accuracy 0.500: on average overconfident" in captions
    captions = "".join(page(rows=[build_row(confident_table(("park",) * 4))]).texts["figcaption"])
    assert re.search("No prediction was wrong.*on average underconfident", captions)


def test_page_without_rows_has_the_glossary_only(page):
    assert page(rows=[]).texts["h2"] == ["Glossary"]


def test_extent_counts_segments_recordings_and_groups(page):
    table = replace(random_table(), truth=("park",) * 40, groups=tuple(str(row // 8) for row in range(40)))
    parsed = page(rows=[build_row(table), build_row(table.by_recording(), "recordings")])
    assert {"40 segments of 20 recordings in 5 groups.", "20 recordings in 5 groups."} <= set(parsed.texts["p"])
    assert any(text.startswith("40 segments of 20 recordings. No intervals: ") for text in page().texts["p"])


def test_intervals_are_shown_below_their_metrics(page):
    table = replace(random_table(), groups=tuple(str(row // 8) for row in range(40)))
    measured = measure(table)
    remarks = page(rows=[build_row(table)]).texts["span"]
    for interval in (*measured.intervals.values(), *measured.class_intervals["park"].values()):
        assert f"{interval.low:.3f} to {interval.high:.3f}" in remarks


def test_tables_of_cities_and_of_unseen_pairs(page):
    names = tuple(f"{('park', 'tram')[row % 2]}-{('lyon', 'lisbon')[row // 20]}-{row}-0.mp4" for row in range(40))
    table = replace(random_table(), filenames=names, truth=("park", "tram") * 20)
    measured = measure(table, seen={("park", "lyon"), ("tram", "lyon"), ("park", "lisbon")})
    parsed = page(rows=[replace(build_row(table), measured=measured)])
    assert {"Metrics by city", "Seen and unseen pairs of scene and city"} <= set(parsed.texts["h3"])
    assert "Training had no recording of: tram in lisbon." in parsed.texts["p"]
    assert {"lyon", "lisbon", "seen", "unseen"} <= set(parsed.texts["th"])
    assert "Metrics by city" not in page().texts["h3"]


def test_comparison_shows_where_one_system_is_correct_and_another_is_not(page):
    first, second = (replace(random_table(seed=seed), truth=("park",) * 40) for seed in (0, 1))
    comparison = compare({"first": first, "second": second})
    parsed = page(rows=[build_row(first), build_row(second, "second")], comparison=comparison)
    assert {"Differences from the best system", "Complementarity"} <= set(parsed.texts["h2"])
    heat_map, numbers = parsed.figures[0]["data"]
    (pair,) = comparison.pairs
    assert heat_map["z"] == [[None, round(pair.only_first, 4)], [round(pair.only_second, 4), None]]
    assert numbers["text"] == [f"{pair.only_first:.1%}"[:-1], f"{pair.only_second:.1%}"[:-1]]
    assert heat_map["zmax"] == max(pair.only_first, pair.only_second)
    captions = parsed.texts["figcaption"]
    assert any(f"is correct on {heat_map['zmax']:.1%} where" in text for text in captions)


def test_risk_caption_has_the_risk_of_the_more_confident_half(page):
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    table = confident_table(("park", "park", "tram", "park"))
    captions = "".join(page(rows=[build_row(replace(table, probabilities=probabilities))]).texts["figcaption"])
    assert "Of the most confident 50% (confidence at least 0.800), 0.0% are wrong; of all rows, 25.0%." in captions
    captions = "".join(page(rows=[build_row(table)]).texts["figcaption"])
    assert "Most rows have the same confidence" in captions


def test_failed_write_leaves_the_old_report(tmp_path, page, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("old")
    monkeypatch.setattr(page_module, "_results_section", lambda *_: "\udcff")
    with pytest.raises(DataError, match="cannot be written"):
        page()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["r.html"]
