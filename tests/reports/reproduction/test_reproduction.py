"""Test that a reproduction has the same, correct contents in Markdown, JSON and HTML."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avscene.errors import DataError
from avscene.evaluation.measurement import measure
from avscene.labels import LabelSet
from avscene.reports.reproduction import files
from avscene.reports.reproduction.files import write_reproduction
from avscene.reports.reproduction.html import reproduction_html
from avscene.reports.reproduction.markdown import reproduction_markdown
from avscene.reports.reproduction.rows import SMALL_HEADING, Absent, Published
from avscene.reports.reproduction.values import reproduction_to_dict
from avscene.tables.score_table import ScoreTable
from tests.golden.regenerate_reproduction import DIRECTORY, REPRODUCTIONS, paper, regenerate, small
from tests.support.html_page import Page
from tests.support.location_tables import location_table
from tests.support.reproductions import build_reproduction, build_row, markdown_tables

pytestmark = pytest.mark.usefixtures("without_plotly_code")


def assert_equal_values(values, expected, at="") -> None:
    """Compare keys and texts exactly, numbers to the last written digit."""
    assert type(values) is type(expected), at
    if isinstance(expected, dict):
        assert list(values) == list(expected), at
        for key in expected:
            assert_equal_values(values[key], expected[key], f"{at}.{key}")
    elif isinstance(expected, list):
        assert len(values) == len(expected), at
        for index, (value, other) in enumerate(zip(values, expected, strict=True)):
            assert_equal_values(value, other, f"{at}[{index}]")
    elif isinstance(expected, float):
        assert values == pytest.approx(expected, abs=2e-6), at
    else:
        assert values == expected, at


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_reports_equal_golden_files(name, tmp_path):
    regenerate(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in DIRECTORY.iterdir())
    assert (tmp_path / f"{name}.md").read_text("utf-8") == (DIRECTORY / f"{name}.md").read_text("utf-8")
    values, expected = (json.loads((folder / f"{name}.json").read_text("utf-8")) for folder in (tmp_path, DIRECTORY))
    assert_equal_values(values, expected)


def test_all_formats_have_the_same_metrics():
    reproduction = paper()
    results = markdown_tables(reproduction_markdown(reproduction))[0]
    page = reproduction_html(reproduction)
    for line, content in zip(results[1:], reproduction_to_dict(reproduction)["rows"], strict=True):
        cells = dict(zip(results[0], line, strict=True))
        assert cells["Index"] == content["index"]
        if content["measured"] is None:
            assert cells["Log loss, measured"] == cells["Accuracy, measured"] == content["absent"]["reason"]
            continue
        metrics = content["measured"]["segments"]
        low, high = metrics["intervals"]["log_loss"].values()
        assert cells["Log loss, measured"] == f"{metrics['log_loss']:.3f} ({low:.3f} to {high:.3f})"
        assert cells["Accuracy, measured"].startswith(f"{100 * metrics['accuracy']:.1f} (")
        assert f">{cells['Log loss, measured']}<" in page
        assert cells["Fitted on"] == content["measured"]["fitted_on"]
        assert cells["Measured on"] == content["measured"]["measured_on"]
        if content["published"]:
            assert cells["Log loss, published"] == f"{content['published']['log_loss']:.3f}"
            difference = metrics["log_loss"] - content["published"]["log_loss"]
            assert content["difference"]["log_loss"] == pytest.approx(difference, abs=2e-6)
            assert cells["Difference, log loss"] == f"{difference:+.3f}".replace("-", "\N{MINUS SIGN}")
            difference = 100 * (metrics["accuracy"] - content["published"]["accuracy"])
            assert cells["Difference, accuracy"] == f"{difference:+.1f}".replace("-", "\N{MINUS SIGN}")
    assert "\N{MINUS SIGN}" in "".join(cell for line in results for cell in line)


def test_every_table_has_the_metrics_of_its_columns():
    tables = {table[0][1]: table for table in markdown_tables(reproduction_markdown(paper()))}
    rows = reproduction_to_dict(paper())["rows"]
    content = next(row for row in rows if row["index"] == "E01")["measured"]
    unseen, pairs = tables["Log loss, all pairs"], content["unseen_pairs"]
    subsets = [content["segments"], pairs["without"], pairs["only"]]
    expected = [text for subset in subsets for text in (f"{subset['log_loss']:.3f}", f"{100 * subset['accuracy']:.1f}")]
    assert next(line for line in unseen if line[0] == "E01")[1:] == [*expected, str(pairs["only"]["n"])]
    averages = tables["Log loss, macro average"]
    cells = dict(zip(averages[0], averages[2], strict=True))
    assert cells["Index"] == "E01"
    assert cells["Log loss, per recording"] == f"{content['recordings']['log_loss']:.3f}"
    by_recording = f"{100 * content['recordings']['accuracy_macro']:.1f}"
    assert cells["Accuracy, per recording, macro average"] == by_recording
    assert cells["Accuracy, macro average"].startswith(f"{100 * content['segments']['accuracy_macro']:.1f} (")
    by_scene, by_city = tables["park"], tables["lisbon"]
    scenes, cities = dict(zip(by_scene[0], by_scene[2], strict=True)), dict(zip(by_city[0], by_city[2], strict=True))
    assert scenes.pop("Index") == cities.pop("Index") == "E01"
    assert scenes == {scene: f"{metrics['log_loss']:.3f}" for scene, metrics in content["per_class"].items()}
    assert cities == {city: f"{metrics['log_loss']:.3f}" for city, metrics in content["per_city"].items()}


def test_rows_without_two_groups_have_no_intervals():
    table = location_table(1, 1.0)
    for groups in (None, ("one",) * len(table)):
        measured = measure(replace(table, groups=groups))
        assert measured.intervals == {}
        reproduction = build_reproduction(build_row(measured=measured))
        content = reproduction_to_dict(reproduction)
        assert set(content["rows"][0]["measured"]["segments"]["intervals"].values()) == {None}
        results = reproduction_markdown(reproduction).partition("## Macro averages")[0]
        assert " to " not in results.partition("| A01")[2]
        assert "| Groups |" in reproduction_markdown(reproduction)


def test_unseen_table_if_all_pairs_or_none_are_unseen():
    measured = measure(location_table(1, 1.0), seen=set())
    assert measured.unseen.without is None
    assert measured.unseen.only.n == measured.segments.n
    assert len(measured.unseen.pairs) == 9
    lines = reproduction_markdown(build_reproduction(build_row(measured=measured))).splitlines()
    heading = "## Seen and unseen pairs of scene and city"
    line = next(line for line in lines[lines.index(heading) :] if "A01" in line)
    assert line.split(" | ")[3:5] == ["\N{EN DASH}"] * 2
    every_pair = {(scene, city) for scene, city in measured.unseen.pairs}
    measured = measure(location_table(1, 1.0), seen=every_pair)
    assert measured.unseen.only is None
    assert heading not in reproduction_markdown(build_reproduction(build_row(measured=measured)))


def test_rows_name_reconstructions_additions_and_reasons():
    reproduction = paper()
    tables = markdown_tables(reproduction_markdown(reproduction))
    systems = {line[0]: line[1] for line in tables[0]}
    assert "ours, not in the paper" in systems["E03"]
    assert "ours" not in systems["A01"]
    assert "our reconstruction of class-wise confidences and post-processing" in systems["E02"]
    content = {row["index"]: row for row in reproduction_to_dict(reproduction)["rows"]}
    assert [index for index, row in content.items() if row["ours"]] == ["E03"]
    assert content["E02"]["reconstructs"] == ["class-wise confidences", "post-processing"]
    notes = reproduction_to_dict(reproduction)["notes"]
    assert any("E01, E02" in note and "our reconstruction" in note for note in notes)
    absent = tables[-2]
    assert absent[1][:2] == ["C01", "weights absent"]
    assert "avscene classify --system C01" in absent[1][2]


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"backbones": "small"}, SMALL_HEADING),
        ({"same_data": False}, "not comparable: differences are not shown"),
    ],
)
def test_differences_are_not_shown_if_results_are_not_comparable(changes, warning):
    row = build_row(published=Published.of_percent(0.711, 76.6), stand_in="Lite0")
    reproduction = build_reproduction(row, **changes)
    text, content = reproduction_markdown(reproduction), reproduction_to_dict(reproduction)
    page = Page(reproduction_html(reproduction))
    assert not content["comparable"]
    assert content["rows"][0]["difference"] is None
    assert "Difference, " not in text
    texts = [text for texts in page.texts.values() for text in texts]
    assert not any("Difference" in text and "not shown" not in text for text in texts)
    assert any(warning in line for line in content["warnings"])
    before, _, after = text.partition("## Published")
    assert warning in before
    assert "0.711" in after, "published metrics are shown"
    assert any(warning in line for line in page.texts["p"])
    assert [attributes for attributes in page.attributes("p") if attributes.get("class") == "warning"]
    names = {trace["name"] for trace in page.figures[0]["data"]}
    assert "published (not comparable)" in names


def test_small_networks_are_named_in_the_heading_of_every_format():
    reproduction = small()
    assert reproduction_markdown(reproduction).startswith(f"# {SMALL_HEADING}\n")
    assert reproduction_to_dict(reproduction)["heading"] == SMALL_HEADING
    page = Page(reproduction_html(reproduction))
    assert page.texts["h1"] == page.texts["title"] == [SMALL_HEADING]
    assert "with small networks: EfficientNet-Lite0" in page.texts["span"]
    assert {trace["name"] for trace in page.figures[0]["data"]} == {
        "published (not comparable)",
        "measured, small networks",
    }
    page = Page(reproduction_html(paper()))
    assert not [attributes for attributes in page.attributes("p") if attributes.get("class") == "warning"]
    assert "mall networks" not in reproduction_markdown(paper())


def test_different_numbers_of_segments_are_warned_of():
    fewer = build_row(index="A02", measured=measure(location_table(1, 1.0, locations=4)))
    warnings = reproduction_to_dict(build_reproduction(build_row(), fewer))["warnings"]
    assert any("32 to 80" in warning for warning in warnings)
    assert reproduction_to_dict(build_reproduction(build_row(), build_row(index="A02")))["warnings"] == []


def test_json_has_no_nan_and_always_the_same_keys():
    table = ScoreTable(LabelSet(("a", "b", "c")), ("x", "y"), np.array([[0.8, 0.1, 0.1]] * 2), truth=("a", "b"))
    history = [{"epoch": 1, "train_loss": float("nan"), "valid_log_loss": 0.5}]
    rows = build_row(measured=measure(table), history=history), build_row(index="A02", absent=Absent("none", "fetch"))
    content = json.loads(json.dumps(reproduction_to_dict(build_reproduction(*rows)), allow_nan=False))
    complete = reproduction_to_dict(paper())
    assert list(content) == list(complete)
    for row in content["rows"]:
        assert list(row) == list(complete["rows"][0])
    assert list(content["rows"][0]["measured"]) == list(complete["rows"][0]["measured"])
    assert content["rows"][0]["measured"]["per_class"]["c"]["recall"] is None
    assert content["rows"][0]["history"][0]["train_loss"] is None
    assert content["schema"] == "avscene-reproduction/1"


def test_report_without_measured_rows():
    row = build_row(absent=Absent("weights absent", "fetch them"), published=Published(0.7, 0.7))
    reproduction = build_reproduction(row)
    assert "0 of 1 rows measured on toytown." in reproduction_markdown(reproduction)
    assert len(markdown_tables(reproduction_markdown(reproduction))) == 3, "results, not measured, versions"
    headings = Page(reproduction_html(reproduction)).texts["h2"]
    assert headings[:2] == ["Published and measured", "Not measured"]


def test_row_is_either_measured_or_absent_and_index_is_unique():
    with pytest.raises(ValueError, match="'A01' must be either"):
        build_row(measured=None)
    with pytest.raises(ValueError, match="'A01' must be either"):
        build_row(measured=measure(location_table(1, 1.0)), absent=Absent("", ""))
    with pytest.raises(ValueError, match="'A01' is given twice"):
        build_reproduction(build_row(), build_row())


@pytest.mark.parametrize(
    ("losses", "cell"),
    [({"train_loss": 0.25}, "0.250"), ({"train_log_loss": 0.25}, "0.250"), ({"rate": 0.25}, "\N{EN DASH}")],
)
def test_training_table_has_the_best_epoch(losses, cell):
    history = [{"epoch": 1, "valid_log_loss": 0.5, "train_loss": 9.0}, {"epoch": 2, "valid_log_loss": 0.4} | losses]
    tables = markdown_tables(reproduction_markdown(build_reproduction(build_row(history=history))))
    training = next(table for table in tables if "Best epoch" in table[0])
    assert training[1] == ["A01", "2", "2", "0.400", cell]


def test_three_files_are_written_complete_or_not_at_all(tmp_path: Path, monkeypatch):
    paths = write_reproduction(tmp_path / "deep", paper())
    assert [path.name for path in paths] == ["reproduction.md", "reproduction.json", "reproduction.html"]
    assert sorted(tmp_path.glob("deep/*")) == sorted(paths)
    before = [path.read_bytes() for path in paths]
    write_reproduction(tmp_path / "deep", paper())
    assert [path.read_bytes() for path in paths] == before, "the same input gives the same bytes"
    assert json.loads(before[1]) == reproduction_to_dict(paper())
    monkeypatch.setattr(files, "reproduction_html", lambda _: "\udcff")
    with pytest.raises(DataError, match=r"reproduction.html: cannot be written"):
        write_reproduction(tmp_path / "deep", small())
    assert paths[2].read_bytes() == before[2]
    assert sorted(tmp_path.glob("deep/*")) == sorted(paths)
