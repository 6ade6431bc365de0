"""The table of systems: right figures, the same in three forms, honest headings, inert names."""

import json
import re
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from avscene.errors import DataError
from avscene.labels import LabelSet
from avscene.reports.plots import learning_curve_figure
from avscene.reports.reproduction import reproduction as module
from avscene.reports.reproduction.reproduction import (
    Absent,
    Published,
    Reproduction,
    ReproductionRow,
    measure,
    to_dict,
    to_html,
    to_markdown,
    write_reproduction,
)
from avscene.reports.reproduction.rows import STAND_IN_HEADING
from avscene.tables.score_table import ScoreTable
from tests.support.html_page import Page

GOLDEN = Path(__file__).parents[2] / "golden"
SCRIPT = runpy.run_path(str(GOLDEN / "regenerate_reproduction.py"))
TABLE, SEEN, PLAIN, STAND_INS, LABELS = (SCRIPT[name] for name in ("table", "SEEN", "plain", "stand_ins", "LABELS"))
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;<!--|`*[x](http://x) $1$ _a_ \\|~~b~~"


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Plotly's own code is left out."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* plotly */")


def row(**changes) -> ReproductionRow:
    parts = {"index": "A01", "title": "RegNet", "needs": "audio", "fitted_on": "train", "measured_on": "test"}
    if not {"measured", "absent"} & changes.keys():
        parts["measured"] = measure(TABLE(1, 2.0), seen=SEEN)
    return ReproductionRow(**(parts | changes))


def reproduction(*rows: ReproductionRow, **changes) -> Reproduction:
    parts = {
        "data": "town",
        "backbones": "paper",
        "same_data": True,
        "date": "2026-01-02",
        "versions": {"avscene": "1"},
    }
    return Reproduction(**(parts | changes), rows=rows or (row(),))


def same(found, expected, at="") -> None:
    """Equal keys and words, numbers to the last written digit."""
    assert type(found) is type(expected), at
    if isinstance(expected, dict):
        assert list(found) == list(expected), at
        for key in expected:
            same(found[key], expected[key], f"{at}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), at
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            same(one, other, f"{at}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=2e-6), at
    else:
        assert found == expected, at


def tables_of(markdown: str) -> list[list[list[str]]]:
    """Every table as GitHub would draw it: rows of cells, tags left in."""
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    return [
        [
            re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.DOTALL)
            for line in re.findall(r"<tr>(.*?)</tr>", body, re.S)
        ]
        for body in re.findall(r"<table>(.*?)</table>", rendered, re.DOTALL)
    ]


@pytest.mark.parametrize("name", SCRIPT["REPRODUCTIONS"])
def test_golden(name, tmp_path):
    SCRIPT["regenerate"](tmp_path)
    expected = GOLDEN / "reproduction"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in expected.iterdir())
    assert (tmp_path / f"{name}.md").read_text("utf-8") == (expected / f"{name}.md").read_text("utf-8")
    same(*(json.loads((place / f"{name}.json").read_text("utf-8")) for place in (tmp_path, expected)))


def test_no_interval_without_two_groups():
    table = TABLE(1, 1.0)
    for groups in (None, ("one",) * len(table)):
        found = measure(replace(table, groups=groups))
        assert found.intervals == {}
        content = to_dict(reproduction(row(measured=found)))
        assert set(content["rows"][0]["measured"]["segments"]["intervals"].values()) == {None}
        results = to_markdown(reproduction(row(measured=found))).partition("## Class means")[0]
        assert " to " not in results.partition("| A01")[2]
    assert "| Places |" in to_markdown(reproduction(row(measured=measure(replace(table, groups=None)))))


def test_a_test_part_of_new_pairs_only():
    found = measure(TABLE(1, 1.0), seen=set())
    assert found.unseen.without is None
    assert found.unseen.only.n == found.segments.n
    assert len(found.unseen.pairs) == 9
    lines = to_markdown(reproduction(row(measured=found))).splitlines()
    line = next(line for line in lines[lines.index("## Scenes in cities where training had none") :] if "A01" in line)
    assert line.split(" | ")[3:5] == ["\N{EN DASH}"] * 2
    nothing = measure(TABLE(1, 1.0), seen=SEEN | {("shopping_mall", "london")})
    assert nothing.unseen.only is None
    assert "where training had none" not in to_markdown(reproduction(row(measured=nothing)))


def test_every_form_has_the_same_figures():
    made = PLAIN()
    results = tables_of(to_markdown(made))[0]
    page = to_html(made)
    for line, content in zip(results[1:], to_dict(made)["rows"], strict=True):
        cells = dict(zip(results[0], line, strict=True))
        assert cells["Index"] == content["index"]
        if content["measured"] is None:
            assert cells["Log loss, measured"] == cells["Accuracy, measured"] == content["absent"]["reason"]
            continue
        found = content["measured"]["segments"]
        low, high = found["intervals"]["log_loss"].values()
        assert cells["Log loss, measured"] == f"{found['log_loss']:.3f} ({low:.3f} to {high:.3f})"
        assert cells["Accuracy, measured"].startswith(f"{100 * found['accuracy']:.1f} (")
        assert f">{cells['Log loss, measured']}<" in page
        assert cells["Fitted on"] == content["measured"]["fitted_on"]
        assert cells["Measured on"] == content["measured"]["measured_on"]
        if content["published"]:
            assert cells["Log loss, published"] == f"{content['published']['log_loss']:.3f}"
            change = found["log_loss"] - content["published"]["log_loss"]
            assert content["difference"]["log_loss"] == pytest.approx(change, abs=2e-6)
            assert cells["Difference, log loss"] == f"{change:+.3f}".replace("-", "\N{MINUS SIGN}")
            change = 100 * (found["accuracy"] - content["published"]["accuracy"])
            assert cells["Difference, accuracy"] == f"{change:+.1f}".replace("-", "\N{MINUS SIGN}")
    assert "\N{MINUS SIGN}" in "".join(cell for line in results for cell in line)


def test_every_section_has_the_figures_of_its_columns():
    sections = {table[0][1]: table for table in tables_of(to_markdown(PLAIN()))}
    content = next(entry for entry in to_dict(PLAIN())["rows"] if entry["index"] == "E01")["measured"]
    unseen, apart = sections["Log loss, all"], content["unseen_pairs"]
    parts = [content["segments"], apart["without"], apart["only"]]
    expected = [text for part in parts for text in (f"{part['log_loss']:.3f}", f"{100 * part['accuracy']:.1f}")]
    assert next(line for line in unseen if line[0] == "E01")[1:] == [*expected, str(apart["only"]["n"])]
    more = dict(zip(sections["Log loss, class mean"][0], sections["Log loss, class mean"][2], strict=True))
    assert more["Index"] == "E01"
    assert more["Log loss, per recording"] == f"{content['recordings']['log_loss']:.3f}"
    assert more["Accuracy, per recording, class mean"] == f"{100 * content['recordings']['accuracy_class_mean']:.1f}"
    assert more["Accuracy, class mean"].startswith(f"{100 * content['segments']['accuracy_class_mean']:.1f} (")
    by_scene, by_city = sections["park"], sections["lisbon"]
    scenes, cities = dict(zip(by_scene[0], by_scene[2], strict=True)), dict(zip(by_city[0], by_city[2], strict=True))
    assert scenes.pop("Index") == cities.pop("Index") == "E01"
    assert scenes == {scene: f"{found['log_loss']:.3f}" for scene, found in content["per_class"].items()}
    assert cities == {city: f"{found['log_loss']:.3f}" for city, found in content["per_city"].items()}


def test_rows_tell_what_they_are():
    made = PLAIN()
    cells = {line[0]: line[1] for line in tables_of(to_markdown(made))[0]}
    assert "ours, not the seed" in cells["E03"]
    assert "ours" not in cells["A01"]
    assert "our reconstruction of class-wise confidences and post-processing" in cells["E02"]
    content = {found["index"]: found for found in to_dict(made)["rows"]}
    assert [index for index, found in content.items() if found["ours"]] == ["E03"]
    assert content["E02"]["reconstructs"] == ["class-wise confidences", "post-processing"]
    assert any("E01, E02" in note and "our reconstruction" in note for note in to_dict(made)["notes"])
    absent = tables_of(to_markdown(made))[-2]
    assert absent[1][:2] == ["C01", "weights absent"]
    assert "avscene classify --system C01" in absent[1][2]


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"backbones": "small"}, STAND_IN_HEADING),
        ({"same_data": False}, "not comparable, and differences are left out"),
    ],
)
def test_what_cannot_be_compared_is_not(changes, warned):
    made = reproduction(row(published=Published.of_percent(0.711, 76.6), stand_in="Lite0"), **changes)
    text, content, page = to_markdown(made), to_dict(made), Page(to_html(made))
    assert not content["comparable"]
    assert content["rows"][0]["difference"] is None
    assert "Difference, " not in text
    assert not any("Difference" in text and "left out" not in text for texts in page.texts.values() for text in texts)
    assert any(warned in warning for warning in content["warnings"])
    before, _, after = text.partition("## Published")
    assert warned in before
    assert "0.711" in after, "published figures are shown all the same"
    assert any(warned in said for said in page.texts["p"])
    assert [a for a in page.of("p") if a.get("class") == "warning"]
    names = {trace["name"] for trace in page.figures[0]["data"]}
    assert "published (not comparable)" in names


def test_stand_ins_are_named_in_the_heading_of_every_form():
    made = STAND_INS()
    assert to_markdown(made).startswith(f"# {STAND_IN_HEADING}\n")
    assert to_dict(made)["heading"] == STAND_IN_HEADING
    page = Page(to_html(made))
    assert page.texts["h1"] == page.texts["title"] == [STAND_IN_HEADING]
    assert "stand-in: EfficientNet-Lite0" in page.texts["span"]
    assert {trace["name"] for trace in page.figures[0]["data"]} == {
        "published (not comparable)",
        "measured, stand-in backbones",
    }
    plain = Page(to_html(PLAIN()))
    assert not [a for a in plain.of("p") if a.get("class") == "warning"]
    assert "tand-in" not in to_markdown(PLAIN())


def test_rows_of_other_extent_are_pointed_out():
    fewer = row(index="A02", measured=measure(TABLE(1, 1.0, locations=4)))
    assert any("32 to 80" in warning for warning in to_dict(reproduction(row(), fewer))["warnings"])
    assert to_dict(reproduction(row(), row(index="A02")))["warnings"] == []


def test_json_is_strict_and_its_keys_are_always_there():
    bare = ScoreTable(LabelSet(("a", "b", "c")), ("x", "y"), np.array([[0.8, 0.1, 0.1]] * 2), truth=("a", "b"))
    odd = row(measured=measure(bare), history=[{"epoch": 1, "train_loss": float("nan"), "valid_log_loss": 0.5}])
    absent = row(index="A02", absent=Absent("weights absent", "fetch them"))
    content = json.loads(json.dumps(to_dict(reproduction(odd, absent)), allow_nan=False))
    full = to_dict(PLAIN())
    assert list(content) == list(full)
    for found in content["rows"]:
        assert list(found) == list(full["rows"][0])
    assert list(content["rows"][0]["measured"]) == list(full["rows"][0]["measured"])
    assert content["rows"][0]["measured"]["per_class"]["c"]["recall"] is None
    assert content["rows"][0]["history"][0]["train_loss"] is None
    assert content["schema"] == "avscene-reproduction/1"


def test_nothing_measured_is_a_table_too():
    made = reproduction(row(absent=Absent("weights absent", "fetch them"), published=Published(0.7, 0.7)))
    assert "0 of 1 rows measured on town." in to_markdown(made)
    assert len(tables_of(to_markdown(made))) == 3, "results, not measured, versions"
    assert Page(to_html(made)).texts["h2"][:2] == ["Published and measured", "Not measured"]


def test_a_row_is_measured_or_absent_and_has_its_own_index():
    with pytest.raises(ValueError, match="'A01' must be either"):
        row(measured=None)
    with pytest.raises(ValueError, match="'A01' must be either"):
        row(measured=measure(TABLE(1, 1.0)), absent=Absent("", ""))
    with pytest.raises(ValueError, match="'A01' is given twice"):
        reproduction(row(), row())


def hostile() -> Reproduction:
    labels = LabelSet((HOSTILE, "park"))
    table = replace(
        TABLE(1, 1.0), labels=labels, probabilities=np.array([[0.7, 0.3]] * 80), truth=(HOSTILE,) * 40 + ("park",) * 40
    )
    found = measure(table, cities=dict.fromkeys(table.filenames, HOSTILE), seen=set())
    texts = dict.fromkeys(("title", "needs", "fitted_on", "measured_on", "notes", "stand_in"), HOSTILE)
    rows = (
        row(index=HOSTILE, measured=found, reconstructs=(HOSTILE,), history=SCRIPT["history"](), **texts),
        row(index="absent", absent=Absent(HOSTILE, HOSTILE), published=Published(1.0, 0.5)),
    )
    return reproduction(*rows, data=HOSTILE, versions={HOSTILE: HOSTILE}, same_data=False)


def test_hostile_names_are_inert_in_html():
    seen = Page(to_html(hostile()))
    assert len(seen.of("script")) == len(seen.figures) + 2 == 5 + 2, "figures, Plotly and ours"
    assert not [a for _, a in seen.elements if "onerror" in a]
    assert not seen.of("img")
    assert HOSTILE in seen.texts["td"]
    drawn = json.dumps([figure["data"] + [figure["layout"]] for figure in seen.figures])
    assert "<script" not in drawn, "Plotly renders markup in texts"
    assert "<img" not in drawn


def test_hostile_names_are_inert_in_markdown():
    text = to_markdown(hostile())
    rendered = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    assert not re.search(r"<(script|img|a|em|s|code|!--)\b", rendered)
    shown = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    for table in tables_of(text):
        assert len({len(line) for line in table}) == 1, "no name may end its cell"
    assert tables_of(text)[0][1][0] == shown
    assert tables_of(text)[0][1][2] == shown


def test_the_page_carries_everything_it_needs():
    text = to_html(PLAIN())
    seen = Page(text)
    assert "http" not in re.sub(r"<meta http-equiv", "", text), "nothing is loaded"
    assert not [a for a in seen.of("script") if "src" in a]
    assert not seen.of("link")
    assert all(a["href"].startswith("#") for a in seen.of("a"))
    assert {a["href"][1:] for a in seen.of("a")} == {a["id"] for _, a in seen.elements if "id" in a}
    assert all(a.get("scope") in ("row", "col") for a in seen.of("th"))
    assert all(a.get("aria-label") for a in seen.of("div") if a.get("class") == "plot")
    assert len(seen.of("figure")) == len(seen.of("figcaption")) == len(seen.figures) == 5
    policy = next(a["content"] for a in seen.of("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_plotly_accepts_the_figures():
    import plotly.graph_objects as go

    for made in (PLAIN(), hostile()):
        for figure in Page(to_html(made)).figures:
            go.Figure(json.loads(re.sub(r"theme:[a-z-]+", "#123456", json.dumps(figure))))


def test_the_comparison_is_drawn_where_it_stands_in_the_table():
    loss, accuracy, *_ = Page(to_html(PLAIN())).figures
    published, measured = loss["data"]
    assert published["y"] == [0, 1, 2, 3]
    assert measured["y"] == [0, 2, 3, 4]
    content = to_dict(PLAIN())["rows"]
    found = [entry["measured"]["segments"] for entry in content if entry["measured"]]
    assert measured["x"] == pytest.approx([figures["log_loss"] for figures in found], abs=1e-4)
    high = [figures["intervals"]["log_loss"]["high"] for figures in found]
    ends = np.array(measured["x"]) + np.array(measured["error_x"]["array"])
    assert ends == pytest.approx(high, abs=2e-4)
    assert accuracy["data"][0]["x"] == [76.6, 76.7, 95.8, 96.1]
    assert loss["layout"]["yaxis"]["ticktext"] == ["A01", "C01", "E01", "E02", "E03"]


def test_learning_curves():
    nan = float("nan")
    history = [
        {"epoch": 1, "train_loss": 1.5, "valid_log_loss": 0.9, "rate": 1e-3},
        {"epoch": 2, "train_loss": nan, "valid_log_loss": 0.7, "rate": 1e-3},
        {"epoch": 3, "train_loss": 0.5, "valid_log_loss": nan, "rate": 1e-3},
        {"epoch": 4, "train_loss": 0.4, "valid_log_loss": 0.8, "rate": 1e-3},
    ]
    train, valid, dot = learning_curve_figure(history)["data"]
    assert train["y"] == [1.5, None, 0.5, 0.4]
    assert (valid["name"], valid["x"], valid["y"]) == ("valid log loss", [1, 2, 3, 4], [0.9, 0.7, None, 0.8])
    assert (dot["x"], dot["y"]) == ([2], [0.7])
    assert row(history=history).best_epoch["epoch"] == 2
    (only,) = learning_curve_figure([{"epoch": 1, "train_loss": 1.0}])["data"]
    assert only["name"] == "train loss"
    assert row(history=[{"epoch": 1, "train_loss": 1.0}]).best_epoch is None


@pytest.mark.parametrize(
    ("entry", "shown"),
    [({"train_loss": 0.25}, "0.250"), ({"train_log_loss": 0.25}, "0.250"), ({"rate": 0.25}, "\N{EN DASH}")],
)
def test_the_kept_epoch_is_told(entry, shown):
    history = [{"epoch": 1, "valid_log_loss": 0.5, "train_loss": 9.0}, {"epoch": 2, "valid_log_loss": 0.4} | entry]
    training = next(table for table in tables_of(to_markdown(reproduction(row(history=history)))) if "Kept" in table[0])
    assert training[1] == ["A01", "2", "2", "0.400", shown]


def test_three_files_whole_or_not_at_all(tmp_path, monkeypatch):
    first = write_reproduction(tmp_path / "deep", PLAIN())
    assert [path.name for path in first] == ["reproduction.md", "reproduction.json", "reproduction.html"]
    assert sorted(tmp_path.glob("deep/*")) == sorted(first)
    before = [path.read_bytes() for path in first]
    write_reproduction(tmp_path / "deep", PLAIN())
    assert [path.read_bytes() for path in first] == before, "the same input gives the same bytes"
    assert json.loads(before[1]) == to_dict(PLAIN())
    monkeypatch.setattr(module, "to_html", lambda _: "\udcff")
    with pytest.raises(DataError, match=r"reproduction.html: cannot be written"):
        write_reproduction(tmp_path / "deep", STAND_INS())
    assert first[2].read_bytes() == before[2]
    assert sorted(tmp_path.glob("deep/*")) == sorted(first)
