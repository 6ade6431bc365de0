"""Test `avscene evaluate` on tables: what it prints, writes, compares and refuses."""

import json
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as oracle

import avscene
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
    *("by", "pooled"),
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


def test_named_tables_without_common_rows_are_evaluated_one_by_one(command):
    other = system(3)
    write_table("other.tsv", replace(other, filenames=tuple(f"b{name}" for name in other.filenames), truth=other.truth))
    metrics = metrics_of(run := command("one=a.tsv", "other=other.tsv", "--json", "metrics.json"))
    (line,) = run.messages
    assert line.startswith("not compared: the tables have no row in common")
    assert (metrics["one"]["compared"], metrics["other"]["n"]) == (None, 72)


def write_folds(folds: int = 3) -> ScoreTable:
    """Write the rows of a table into `foldK/p.tsv`, the groups in turn, and return the whole table."""
    whole = read_table("a.tsv")
    for fold in range(folds):
        Path(f"fold{fold}").mkdir()
        rows = [row for row, group in enumerate(whole.groups) if int(group.rpartition("-")[2]) // 2 % folds == fold]
        part = replace(
            whole,
            filenames=tuple(whole.filenames[row] for row in rows),
            probabilities=whole.probabilities[rows],
            starts=whole.starts[rows],
            truth=tuple(whole.truth[row] for row in rows),
            groups=tuple(whole.groups[row] for row in rows),
        )
        write_table(f"fold{fold}/p.tsv", part)
    return whole


def test_tables_of_folds_are_pooled(command):
    whole = write_folds()
    paths = [f"fold{fold}/p.tsv" for fold in range(3)]
    metrics = metrics_of(run := command(*paths, "--json", "metrics.json", "--report", "r.html"))
    (line,) = run.messages
    assert line.startswith("pooled: 3 tables that share no recording are evaluated as the folds of one system (fold0, ")
    pooled = metrics["pooled"]
    assert (pooled["n"], pooled["groups"], pooled["compared"]) == (72, 12, None)
    assert pooled["log_loss"] == pytest.approx(oracle.log_loss(whole.truth_index, whole.probabilities))
    losses = {
        name: oracle.log_loss(part.truth_index, part.probabilities, labels=[0, 1, 2])
        for name, part in ((path.split("/")[0], read_table(path)) for path in paths)
    }
    assert {name: entry["log_loss"] for name, entry in pooled["by"]["table"].items()} == pytest.approx(losses)
    assert pooled["pooled"]["tables"] == list(losses)
    assert pooled["pooled"]["log_loss"] == pytest.approx(
        {"mean": np.mean(list(losses.values())), "standard_deviation": statistics.stdev(losses.values())}
    )
    assert "mean and standard deviation over 3 tables: log loss" in run.out
    assert "pooled is 3 pooled tables of folds: fold0, fold1, fold2." in Path("r.html").read_text()


def test_tables_of_one_name_are_pooled_and_compared_with_others(command):
    write_folds()
    run = command("a=fold0/p.tsv", "a=fold1/p.tsv", "a=fold2/p.tsv", "b=b.tsv", "--json", "metrics.json")
    metrics = metrics_of(run)
    assert list(metrics) == ["a", "b"]
    assert (metrics["a"]["n"], metrics["a"]["compared"]["n"]) == (72, 72)
    assert run.messages == ["a: 3 tables are pooled: fold0, fold1, fold2"]


def test_rows_are_evaluated_by_columns_of_text(command):
    table = read_table("a.tsv")
    devices = tuple("ab"[row % 2] for row in range(len(table)))
    write_table("devices.tsv", replace(table, carried={"device": devices}))
    run = command("devices.tsv", "--by", "device", "--by", "group", "--json", "metrics.json", "--report", "r.html")
    by = metrics_of(run)["devices.tsv"]["by"]
    chosen = np.array(devices) == "b"
    assert by["device"]["b"]["n"] == chosen.sum()
    assert by["device"]["b"]["log_loss"] == pytest.approx(
        oracle.log_loss(table.truth_index[chosen], table.probabilities[chosen], labels=[0, 1, 2])
    )
    assert by["device"]["b"]["accuracy"] == pytest.approx(
        oracle.accuracy_score(table.truth_index[chosen], table.probabilities[chosen].argmax(axis=1))
    )
    assert len(by["group"]) == 12
    assert "Metrics by device" in Page(Path("r.html").read_text()).texts["h3"]
    refused = command("devices.tsv", "--by", "colour").error()
    assert refused == "devices.tsv: no column 'colour' to group rows by; found: city, group, device"


def printed_confusion(out: str) -> list[list[int]]:
    lines = out.split("confusion matrix (rows: true scenes, columns: predicted scenes)\n")[1].splitlines()
    scenes = len(lines[0].split())
    return [[int(cell.replace(".", "0")) for cell in line.split()[-scenes:]] for line in lines[1 : scenes + 1]]


def test_the_confusion_matrix_is_that_of_scikit_learn(command):
    run = command("a.tsv")
    table = read_table("a.tsv")
    expected = oracle.confusion_matrix(table.truth_index, table.probabilities.argmax(axis=1))
    assert printed_confusion(run.out) == expected.tolist()


def test_of_many_scenes_the_most_frequent_errors_are_printed(command):
    labels = LabelSet(tuple(f"scene number {at}" for at in range(40)))
    odds = np.random.default_rng(0).random((80, 40))
    names = tuple(f"{at}.wav" for at in range(80))
    truth = tuple(labels.names[at % 40] for at in range(80))
    table = ScoreTable(labels, names, odds / odds.sum(axis=1, keepdims=True), truth=truth)
    write_table("many.tsv", table)
    run = command("many.tsv")
    lines = run.out.split("most frequent errors\n")[1].split("\n\n")[0].splitlines()
    counts = oracle.confusion_matrix(table.truth_index, table.probabilities.argmax(axis=1), labels=range(40))
    np.fill_diagonal(counts, 0)
    assert len(lines) == 13
    assert lines[1].endswith(f"{counts.max()} of 2")


def test_labels_without_probabilities_have_an_accuracy_and_no_log_loss(command):
    table = read_table("a.tsv")
    predicted = [table.labels.names[at] for at in table.probabilities.argmax(axis=1)]
    rows = zip(table.filenames, table.starts, predicted, strict=True)
    Path("labels.csv").write_text(
        "filename;start;scene_label\n" + "".join(f"{name};{start:g};{scene}\n" for name, start, scene in rows)
    )
    metrics = metrics_of(run := command("labels.csv", "b.tsv", "--json", "metrics.json", "--report", "r.html"))
    assert run.messages == [
        "labels.csv: has predicted scenes without probabilities: accuracy and confusions are computed; log loss, ECE, "
        "Brier score and AURC need probabilities"
    ]
    entry = metrics["labels.csv"]
    assert entry["accuracy"] == pytest.approx(oracle.accuracy_score(table.truth, predicted))
    assert entry["accuracy_macro"] == pytest.approx(oracle.balanced_accuracy_score(table.truth, predicted))
    assert entry["per_class"]["bus"]["f1"] == pytest.approx(oracle.f1_score(table.truth, predicted, average=None)[0])
    assert [entry[name] for name in ("log_loss", "log_loss_macro", "ece", "brier_score", "aurc")] == [None] * 5
    assert (entry["compared"]["best"], entry["compared"]["best_by"]) == ("labels.csv", "accuracy")
    assert entry["compared"]["with"]["b.tsv"]["log_loss"] == {"value": None, "interval": None, "p": None}
    assert "nan" not in run.out + Path("r.html").read_text().split("<script>")[0]
    refused = run_command_of("fuse", "labels.csv", "b.tsv", "--output", "f.tsv")
    assert "has predicted scenes (column 'scene_label') but no probabilities" in refused


def run_command_of(*arguments: object) -> str:
    """Run a command that is refused in another process, and return its message."""
    done = subprocess.run(
        [sys.executable, "-m", "avscene", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    return done.stderr


def test_a_scene_in_the_names_without_a_column_is_named(command):
    table = read_table("a.tsv")
    write_table("renamed.tsv", replace(table, labels=LabelSet(("coach", "park", "tram")), truth=None))
    message = "renamed.tsv: file names say scene 'bus', but there is no column 'bus'; found: coach, park, tram"
    assert command("renamed.tsv").error() == message


# --- from Python ---


def test_python_gives_what_the_command_writes(command):
    metrics = metrics_of(command("a.tsv", "b.tsv", "--json", "metrics.json", "--by", "city"))
    for tables in (["a.tsv", Path("b.tsv")], {"a.tsv": read_table("a.tsv"), "b.tsv": "b.tsv"}):
        found = avscene.evaluate(tables, by="city")
        assert json.loads(json.dumps(found.to_dict())) == metrics
    frame = found.to_pandas()
    assert frame.loc["a.tsv", "log_loss"] == metrics["a.tsv"]["log_loss"]
    assert frame.loc["b.tsv", "accuracy_high"] == metrics["b.tsv"]["intervals"]["accuracy"]["high"]
    assert found.ranking == ("a.tsv", "b.tsv")
    assert repr(found).startswith(f"Evaluation(a.tsv: log loss {metrics['a.tsv']['log_loss']:.3f}, accuracy ")
    assert len(repr(found).splitlines()) == 1


def test_a_notebook_shows_figures_intervals_and_confusions():
    table = replace(system(1), groups=system(1).filenames)
    scenes = LabelSet(("<b>", "park", "tram"))
    renamed = replace(table, labels=scenes, truth=tuple("<b>" if scene == "bus" else scene for scene in table.truth))
    shown = avscene.evaluate({"a&b": renamed})._repr_html_()
    page = Page(shown)
    counts = oracle.confusion_matrix(table.truth_index, table.probabilities.argmax(axis=1))
    cells = page.texts["td"]
    assert cells[-9:] == [str(count) for count in counts.ravel()]
    interval = measure(table).intervals["accuracy"]
    assert "<b>" not in shown
    assert f"{interval.low:.3f} to {interval.high:.3f}" in shown


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
def test_ten_scenes_fit_in_100_columns(command):
    path = PREDICTIONS / "tau_early.tsv"
    run = command(path)
    table = read_table(path)
    expected = oracle.confusion_matrix(table.truth_index, table.probabilities.argmax(axis=1))
    assert printed_confusion(run.out) == expected.tolist()
    matrix = run.out.split("confusion matrix")[1].split("\n\n")[0].splitlines()
    assert max(map(len, matrix)) <= 100


@pytest.mark.skipif(not PREDICTIONS.is_dir(), reason=f"published predictions are not at {PREDICTIONS}")
def test_three_published_systems_are_compared(command):
    paths = [PREDICTIONS / f"tau_{name}.tsv" for name in ("early", "late", "mix")]
    metrics = metrics_of(command(*paths, "--json", "metrics.json"))
    late = metrics[paths[1].name]
    assert (late["n"], late["groups"], len(late["by_city"])) == (3645, 126, 10)
    assert late["intervals"]["log_loss"]["low"] < late["log_loss"] < late["intervals"]["log_loss"]["high"]
    assert late["compared"]["best"] == paths[1].name
