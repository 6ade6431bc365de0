"""Test `avscene evaluate` on tables: what it prints, writes, compares and refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avscene.evaluation.bootstrap import TABLE_METRICS
from avscene.evaluation.comparison import compare
from avscene.evaluation.measurement import measure
from avscene.labels import LabelSet
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable
from avscene.tables.training_pairs import read_training_pairs
from tests.support.command_line import Run
from tests.support.command_line import run as run_command
from tests.support.html_page import Page

PREDICTIONS = Path(__file__).parents[4] / "shared" / "predictions"
LABELS = LabelSet(("bus", "park", "tram"))
CITIES = ("lyon", "paris")
KEYS = {
    *("n", "groups", "per_class", "resampling", "no_intervals_because", "intervals", "class_intervals", "by_city"),
    *("unseen_pairs", "recordings", "confusion", "reliability", "risk_coverage", "compared", *TABLE_METRICS),
}


def system(seed: int, strength: float = 1.5) -> ScoreTable:
    """Return a table of two recordings of three segments from twelve locations: each scene twice in both cities."""
    names = [f"{LABELS.names[at % 3]}-{CITIES[at // 3 % 2]}-{at}-{clip}" for at in range(12) for clip in "01"]
    truth = np.repeat(np.arange(12) % 3, 6)
    odds = np.exp(np.random.default_rng(seed).normal(size=(72, 3)) + strength * np.eye(3)[truth])
    return ScoreTable(
        LABELS,
        tuple(np.repeat(names, 3).tolist()),
        (odds / odds.sum(axis=1, keepdims=True)).round(6),
        np.tile(np.arange(3.0), 24),
        truth=tuple(LABELS.names[at] for at in truth),
    )


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    for name, seed, strength in (("a.tsv", 1, 2.0), ("b.tsv", 2, 1.0)):
        write_table(name, system(seed, strength))
    return lambda *arguments: run_command(capsys, "evaluate", *arguments)


def metrics_of(run: Run) -> dict[str, dict]:
    assert run.code == 0, run.err
    return json.loads(Path("metrics.json").read_text())


def test_the_json_file_has_all_metrics_under_fixed_keys(command):
    metrics = metrics_of(command("a.tsv", "b.tsv", "--json", "metrics.json"))
    assert list(metrics) == ["a.tsv", "b.tsv"]
    tables = {name: read_table(name) for name in metrics}
    found, compared = measure(tables["a.tsv"]), compare(tables)
    assert all(set(entry) == KEYS for entry in metrics.values())
    entry = metrics["a.tsv"]
    assert (entry["n"], entry["groups"], entry["no_intervals_because"], entry["unseen_pairs"]) == (72, 12, None, None)
    assert entry["intervals"]["log_loss"] == {
        "low": found.intervals["log_loss"].low,
        "high": found.intervals["log_loss"].high,
    }
    assert set(entry["class_intervals"]["bus"]) == {"precision", "recall", "f1", "log_loss"}
    assert set(entry["by_city"]) == set(CITIES)
    assert set(entry["by_city"]["lyon"]) == {"n", "log_loss", "accuracy", "intervals"}
    assert entry["recordings"]["n"] == 24
    assert np.sum(entry["confusion"]["counts"]) == 72
    assert entry["risk_coverage"]["risk"][-1] == pytest.approx(1 - entry["accuracy"])
    against = entry["compared"]["with"]["b.tsv"]
    assert entry["compared"]["best"] == "a.tsv"
    assert against["log_loss"]["value"] == pytest.approx(entry["log_loss"] - metrics["b.tsv"]["log_loss"])
    assert against["log_loss"]["p"] == compared.pairs[0].log_loss.p
    back = metrics["b.tsv"]["compared"]["with"]["a.tsv"]
    assert (back["only_this_right"], back["accuracy"]["value"]) == (
        against["only_other_right"],
        pytest.approx(-against["accuracy"]["value"]),
    )


def test_printed_metrics_have_intervals(command):
    run = command("a.tsv", "b.tsv")
    assert (run.code, run.messages) == (0, [])
    found = measure(read_table("a.tsv"))
    assert "a.tsv: 72 rows in 12 groups" in run.out
    for name in TABLE_METRICS:
        interval = found.intervals[name]
        assert f"{getattr(found.segments, name):.4f}  {interval.low:.4f} to {interval.high:.4f}" in run.out
    for metrics in found.by_city.values():
        low, high = (getattr(metrics.intervals["accuracy"], end) for end in ("low", "high"))
        assert f"{metrics.accuracy:.3f} ({low:.3f} to {high:.3f})" in run.out
    assert "Each system minus a.tsv, the system of lowest log loss, on the same 72 rows" in run.out
    assert "At least one of the 2 systems is correct on" in run.out


def test_tables_are_compared_on_their_common_rows_and_others_are_reported(command):
    whole = system(2, 1.0)
    part = replace(
        whole,
        filenames=whole.filenames[6:],
        probabilities=whole.probabilities[6:],
        starts=whole.starts[6:],
        truth=whole.truth[6:],
    )
    write_table("part.tsv", part)
    metrics = metrics_of(run := command("a.tsv", "part.tsv", "--json", "metrics.json", "--report", "r.html"))
    assert run.messages == [
        "compared on 66 rows; a.tsv: 6 of 72 rows are not in every other table; the first is 'bus-lyon-0-0'"
    ]
    assert (metrics["a.tsv"]["n"], metrics["a.tsv"]["compared"]["n"]) == (72, 66)
    assert "They are compared on the 66 rows that all tables have" in Path("r.html").read_text()


def test_tables_without_common_rows_are_still_evaluated(command):
    other = system(3)
    write_table("other.tsv", replace(other, filenames=tuple(f"b{name}" for name in other.filenames), truth=other.truth))
    metrics = metrics_of(run := command("a.tsv", "other.tsv", "--json", "metrics.json"))
    (line,) = run.messages
    assert line.startswith("not compared: the tables have no row in common")
    assert (metrics["a.tsv"]["compared"], metrics["other.tsv"]["n"]) == (None, 72)


def test_without_groups_there_are_no_intervals_and_a_reason(command):
    ungrouped = replace(system(1), filenames=tuple(f"{at}.wav" for at in range(72)))
    write_table("ungrouped.tsv", ungrouped)
    write_table("one-group.tsv", replace(ungrouped, groups=("one",) * 72))
    metrics = metrics_of(
        run := command("ungrouped.tsv", "one-group.tsv", "--json", "metrics.json", "--report", "r.html")
    )
    assert "no intervals: the table has no column 'group'" in run.out
    assert "no intervals: all rows are of one group" in run.out
    assert " to " not in run.out
    assert set(metrics["ungrouped.tsv"]["intervals"].values()) == {None}
    assert metrics["one-group.tsv"]["no_intervals_because"] == "all rows are of one group"
    assert "No intervals: all rows are of one group" in Path("r.html").read_text()


@pytest.mark.parametrize(
    "content",
    [
        "path\tlabel\tsplit\nbus-lyon-1-1.mp4\tbus\ttrain\npark-lyon-2-1.mp4\tpark\t\ntram-lyon-3-1.mp4\ttram\ttest\n",
        "filename_audio\tfilename_video\naudio/bus-lyon-1-1.wav\tvideo/bus-lyon-1-1.mp4\naudio/park-lyon-2-1.wav\tx\n",
    ],
)
def test_scene_city_pairs_absent_from_training_are_evaluated_separately(command, content):
    Path("meta.csv").write_text(content)
    assert read_training_pairs("meta.csv") == {("bus", "lyon"), ("park", "lyon")}
    metrics = metrics_of(run := command("a.tsv", "--trained-on", "meta.csv", "--json", "metrics.json"))
    unseen = metrics["a.tsv"]["unseen_pairs"]
    assert unseen["pairs"] == [["bus", "paris"], ["park", "paris"], ["tram", "lyon"], ["tram", "paris"]]
    assert (unseen["only"]["n"], unseen["without"]["n"]) == (48, 24)
    assert set(unseen["only"]["intervals"]) == {"log_loss", "accuracy"}
    assert "Training had no recording of: bus in paris, park in paris, tram in lyon, tram in paris." in run.out
    assert "unseen" in run.out


def test_a_prediction_table_lists_the_training_pairs(command):
    run = command("a.tsv", "--trained-on", "b.tsv")
    assert "Training had recordings of every pair." in run.out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\n1.wav,bus\n", "meta.csv, column path: no name has scene and city"),
        (
            "label,split\nbus,train\n",
            "meta.csv, line 1: no column 'path', 'filename', 'aid', 'filename_audio' or 'filename_video'",
        ),
    ],
)
def test_a_list_without_training_pairs_is_refused(command, content, message):
    Path("meta.csv").write_text(content)
    assert message in command("a.tsv", "--trained-on", "meta.csv").error()


def test_the_report_has_all_sections(command):
    assert command("a.tsv", "b.tsv", "--report", "r.html", "--trained-on", "b.tsv").code == 0
    page = Page(Path("r.html").read_text())
    assert {"Results", "Differences from the best system", "Complementarity"} <= set(page.texts["h2"])
    for heading in (
        "Confusion matrix",
        "Reliability",
        "Risk and coverage",
        "Metrics by scene",
        "Metrics by city",
    ):
        assert page.texts["h3"].count(heading) == 2, heading
    assert len(page.figures) == 1 + 2 * 3
    assert all(text.strip() for text in page.texts["figcaption"])


def test_a_terminal_without_unicode_gets_all_metrics(command, monkeypatch, tmp_path):
    import io
    import sys

    from tests.support.command_line import call

    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    assert call("evaluate", "a.tsv", "b.tsv") == 0
    narrow.flush()
    assert b"\\u2212" in narrow.buffer.getvalue(), "the minus of a difference"


@pytest.mark.skipif(not PREDICTIONS.is_dir(), reason=f"published predictions are not at {PREDICTIONS}")
def test_three_published_systems_are_compared(command):
    paths = [PREDICTIONS / f"tau_{name}.tsv" for name in ("early", "late", "mix")]
    metrics = metrics_of(command(*paths, "--json", "metrics.json"))
    late = metrics[str(paths[1])]
    assert (late["n"], late["groups"], len(late["by_city"])) == (3645, 126, 10)
    assert late["intervals"]["log_loss"]["low"] < late["log_loss"] < late["intervals"]["log_loss"]["high"]
    assert late["compared"]["best"] == str(paths[1])
