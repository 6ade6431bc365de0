"""Test `cross-validate`: each fold is predicted by a system trained on the others, and a run continues."""

import contextlib
import io
import json
import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as oracle

import avscene
from avscene.labels import LabelSet
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import PredictionTable
from avscene.training.cross_validation import CrossValidation
from tests.support.command_line import Command, Run, call, run

ARGUMENTS = ("--folds", "half", "--precision", "float32")


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    return lambda *arguments: run(capfd, *arguments)


@pytest.fixture(scope="module")
def data(scene_data: Path) -> Path:
    """Return a table of the recordings with a column `half`: of each scene, two groups each are a and b."""
    header, *lines = (scene_data / "meta.csv").read_text().splitlines()
    halves = [f"{line},{'ab'[number % 2]}" for number, line in enumerate(lines)]
    path = scene_data / "halves.csv"
    path.write_text("\n".join([f"{header},half", *halves]) + "\n")
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "validation"


@pytest.fixture(scope="module")
def validated(data: Path, directory: Path) -> Run:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = call("cross-validate", "fast", "--data", data, "--output", directory, *ARGUMENTS)
    return Run(code, out.getvalue(), err.getvalue())


def test_every_recording_is_predicted_once_by_a_system_that_was_not_trained_on_its_group(
    validated: Run, directory: Path, data: Path
) -> None:
    assert validated.code == 0, validated.err
    pooled = read_table(directory / "out_of_fold.tsv")
    assert len(set(pooled.filenames)) == 12
    assert len(pooled) == 24
    for half in "ab":
        system = directory / f"half-{half}"
        assert json.loads((system / "config.json").read_text())["training"]["held_out"] == f"half={half}"
        trained_on = read_table(system / "out_of_fold" / "fused.tsv")
        held = avscene.predict(system, data, only=f"half={half}", precision="float32")
        assert not set(trained_on.groups or ()) & set(held.groups or ())
        rows = [row for row, name in enumerate(pooled.filenames) if name in set(held.filenames)]
        assert [pooled.filenames[row] for row in rows] == list(held.filenames)
        np.testing.assert_allclose(pooled.probabilities[rows], held.probabilities, atol=1e-9)


def test_mean_and_standard_deviation_are_those_of_the_folds(validated: Run, directory: Path) -> None:
    tables = [read_table(directory / f"half-{half}" / "held_out" / "fused.tsv") for half in "ab"]
    losses = [oracle.log_loss(table.truth, table.probabilities, labels=table.labels.names) for table in tables]
    pooled = read_table(directory / "out_of_fold.tsv")
    lines = {line[:20].strip(): line[20:].split() for line in validated.out.splitlines()}
    assert lines["half=a"][:2] == ["12", f"{losses[0]:.4f}"]
    assert lines["half=b"][:2] == ["12", f"{losses[1]:.4f}"]
    assert lines["mean"][0] == f"{statistics.mean(losses):.4f}"
    assert lines["standard deviation"][0] == f"{statistics.stdev(losses):.4f}"
    loss = oracle.log_loss(pooled.truth, pooled.probabilities, labels=pooled.labels.names)
    assert lines["pooled"][:2] == ["24", f"{loss:.4f}"]
    assert f"next: avscene evaluate {directory / 'out_of_fold.tsv'} --report {directory}.html" in validated.out


def test_an_interrupted_run_continues_with_the_folds_that_are_missing(
    validated: Run, command: Command, data: Path, directory: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(directory, tmp_path / "copy")
    (copy / "out_of_fold.tsv").unlink()
    shutil.rmtree(copy / "half-b" / "held_out")  # as if killed after the training
    kept = (copy / "half-a" / "config.json").stat().st_mtime_ns
    again = command("cross-validate", "fast", "--data", data, "--output", copy, *ARGUMENTS)
    assert (again.code, again.out) == (0, validated.out.replace(str(directory), str(copy)))
    assert (copy / "out_of_fold.tsv").read_bytes() == (directory / "out_of_fold.tsv").read_bytes()
    assert (copy / "half-a" / "config.json").stat().st_mtime_ns == kept
    assert not any("training on" in message for message in again.messages)


def test_results_of_other_folds_are_not_mixed(validated: Run, command: Command, data: Path, directory: Path) -> None:
    message = command("cross-validate", "fast", "--data", data, "--output", directory, "--folds", "fold").error()
    assert message == (
        f"{directory}: holds another cross-validation (folds, recordings differ); name another --output, or remove it"
    )


WRONG = {
    "no such column": ("fold", "flod", "has no column 'flod'"),
    "one value": ("one", "fold", "column 'fold' has only the value '1'; at least two are needed"),
    "a group in two folds": ("leak", "half", "group 'cave0' is in both"),
    "a scene in one fold": ("scene", "fold", "all recordings of scene 'cave' have fold=9"),
}


@pytest.mark.parametrize("case", WRONG)
def test_folds_that_do_not_suffice_are_refused_before_any_work(
    command: Command, data: Path, tmp_path: Path, case: str
) -> None:
    change, folds, expected = WRONG[case]
    header, *lines = data.read_text().splitlines()
    rows = [line.split(",") for line in lines]
    for row in rows:
        if change == "one":
            row[3] = "1"
        if change == "leak" and row[2] == "cave1":
            row[2] = "cave0"
        if change == "scene":
            row[3] = "9" if row[1] == "cave" else row[3]
    path = data.with_name("changed.csv")
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    output = tmp_path / "x"
    assert expected in command("cross-validate", "fast", "--data", path, "--folds", folds, "--output", output).error()
    assert not output.exists()


def test_the_standard_deviation_is_that_of_a_sample() -> None:
    def fold(probability: float) -> PredictionTable:
        rows = np.array([[probability, 1 - probability]] * 2)
        return PredictionTable(LabelSet(("park", "tram")), ("a.mp4", "b.mp4"), rows, truth=("park", "tram"))

    folds = {str(number): fold(probability) for number, probability in enumerate((0.9, 0.6, 0.5))}
    result = CrossValidation(Path("x"), "fold", folds, folds["0"], ())
    losses = [oracle.log_loss(table.truth, table.probabilities, labels=["park", "tram"]) for table in folds.values()]
    assert result.mean("log_loss") == pytest.approx(np.mean(losses))
    assert result.standard_deviation("log_loss") == pytest.approx(np.std(losses, ddof=1))
    assert result.standard_deviation("accuracy") == 0  # one of two rows is right in each
