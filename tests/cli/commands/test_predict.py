"""Test `predict` on recordings without labels, and the public functions `train` and `predict`."""

import csv
import shutil
import threading
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas
import pytest

import avscene
from avscene.inference.predict import StoppedError
from avscene.tables.prediction_table import read_table
from avscene.tables.score_table import PredictionTable
from avscene.training.train import Trained
from tests.support.command_line import Command, run
from tests.support.scene_data import SCENES

FLOAT32 = ("--precision", "float32")


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    return lambda *arguments: run(capfd, *arguments)


@pytest.fixture
def recordings(scene_data: Path, tmp_path: Path) -> Path:
    """Return a folder with a recording of each scene."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for scene in SCENES:
        (folder / f"{scene}.mp4").symlink_to(scene_data / scene / f"{scene}-0.mp4")
    return folder


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_a_folder_and_a_list_without_labels(
    command: Command, scene_system: Trained, recordings: Path, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in sorted(recordings.iterdir())))
    arguments = ("predict", "--system", scene_system.directory, *FLOAT32)
    for data, output in ((recordings, "folder.tsv"), (tmp_path / "list.txt", "list.tsv")):
        assert command(*arguments, "--data", data, "--output", tmp_path / output).code == 0
    folder, listed = cells(tmp_path / "folder.tsv"), cells(tmp_path / "list.tsv")
    assert "true_label" not in folder[0]
    assert [row["filename"] for row in folder] == [f"{scene}.mp4" for scene in SCENES for _ in range(2)]
    assert [row["scene_label"] for row in folder] == [scene for scene in SCENES for _ in range(2)]
    assert [row["filename"] for row in listed] == [f"{recordings}/{row['filename']}" for row in folder]
    assert [row["cave"] for row in listed] == [row["cave"] for row in folder]


def test_labels_that_the_system_does_not_know_can_be_left_out(
    command: Command, scene_system: Trained, recordings: Path, tmp_path: Path
) -> None:
    recordings.rename(tmp_path / "other")
    (tmp_path / "data").mkdir()
    (tmp_path / "other").rename(tmp_path / "data" / "kitchen")
    arguments = ("predict", "--system", scene_system.directory, "--data", tmp_path / "data", *FLOAT32)
    message = command(*arguments, "--output", tmp_path / "x.tsv").error()
    assert message.endswith("is not one of the system's: cave, furnace, meadow; to leave the labels out: --unlabelled")
    assert command(*arguments, "--output", tmp_path / "x.tsv", "--unlabelled").code == 0
    assert [row["filename"] for row in cells(tmp_path / "x.tsv")][::2] == [f"kitchen/{scene}.mp4" for scene in SCENES]


def test_recordings_without_labels_are_not_trained_on(command: Command, recordings: Path, tmp_path: Path) -> None:
    message = command("train", "fast", "--data", recordings, "--output", tmp_path / "system").error()
    assert message.startswith(f"{recordings}: has no labels")


def test_the_function_returns_what_the_command_writes(
    command: Command, scene_system: Trained, scene_data: Path, tmp_path: Path
) -> None:
    arguments = ("--system", scene_system.directory, "--data", scene_data, "--only", "fold=1", *FLOAT32)
    assert command("predict", *arguments, "--output", tmp_path / "command.tsv", "--by-model").code == 0
    system = avscene.load(scene_system.directory, precision="float32")
    table = avscene.predict(system, scene_data, tmp_path / "function.tsv", only="fold=1", by_model=True)
    assert isinstance(table, PredictionTable)
    for part in ("", ".audio", ".video"):
        written = (tmp_path / f"function{part}.tsv").read_bytes()
        assert written == (tmp_path / f"command{part}.tsv").read_bytes()
    expected = pandas.read_csv(tmp_path / "function.tsv", sep="\t")
    found = table.to_pandas()
    assert list(found.columns) == list(expected.columns)
    for column in expected:
        if expected[column].dtype.kind == "f":
            np.testing.assert_allclose(found[column], expected[column], rtol=1e-9)
        else:
            assert found[column].tolist() == expected[column].tolist()
    assert set(table.by_model) == {"audio", "video"}


def test_a_stopped_run_continues(scene_system: Trained, scene_data: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    system = avscene.load(scene_system.directory, precision="float32")

    def count(n_done: int, n_all: int) -> None:
        if n_done == 1:
            stop.set()

    with pytest.raises(StoppedError):
        avscene.predict(
            system, scene_data, tmp_path / "x.tsv", workers=1, progress=lambda _: count, stop=nullcontext(stop)
        )
    assert not (tmp_path / "x.tsv").exists()
    assert (tmp_path / "x.tsv.journal").exists()
    avscene.predict(system, scene_data, tmp_path / "x.tsv")
    avscene.predict(system, scene_data, tmp_path / "whole.tsv")
    assert (tmp_path / "x.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()


def test_the_table_is_described_in_one_line_and_shown_in_notebooks(
    scene_system: Trained, recordings: Path, tmp_path: Path
) -> None:
    system = avscene.load(scene_system.directory, precision="float32")
    table = avscene.predict(system, recordings)
    assert repr(table) == "<PredictionTable the table: 6 segments of 3 recordings, 3 scenes, true scenes unknown>"
    (recordings / "cave.mp4").rename(recordings / "<b>&.mp4")
    page = avscene.predict(system, recordings)._repr_html_()
    assert "<td>&lt;b&gt;&amp;.mp4</td>" in page
    assert "and 1 more rows" in page
    assert page.count("<tr>") == 6  # the head and five rows


def test_train_returns_metrics_and_tables(scene_data: Path, tmp_path: Path) -> None:
    trained = avscene.train("fast", scene_data, tmp_path / "system", holdout="fold=4", precision="float32")
    assert "\n" not in repr(trained)
    assert list(trained.held_out) == ["audio", "video", "fused"]
    written = read_table(tmp_path / "system" / "held_out" / "fused.tsv")
    np.testing.assert_allclose(trained.held_out["fused"].probabilities, written.probabilities, rtol=1e-9)
    assert {name.partition("/")[2] for name in written.filenames} == {f"{scene}-3.mp4" for scene in SCENES}
    assert trained.warnings[0].startswith("few groups: 3 of")
    for output in (scene_data, scene_data / "meta.csv"):
        with pytest.raises(avscene.AvsceneError):
            avscene.train("fast", scene_data, output)


def test_results_are_evaluated_by_columns_of_the_data(scene_system: Trained, scene_data: Path, tmp_path: Path) -> None:
    shutil.copytree(scene_data, tmp_path / "data")
    meta = tmp_path / "data" / "meta.csv"
    head, *lines = meta.read_text().splitlines()
    devices = ["phone", "camera"] * (len(lines) // 2)
    changed = [f"{line},{device},1,oslo" for line, device in zip(lines, devices, strict=True)]
    meta.write_text("\n".join([f"{head},source_label,source,city", *changed]) + "\n")
    avscene.predict(scene_system.directory, tmp_path / "data", tmp_path / "scores.tsv", precision="float32")
    table = read_table(tmp_path / "scores.tsv")
    assert set(table.carried) == {"source_label", "city"}  # a column of numbers would be a scene's
    found = avscene.evaluate(tmp_path / "scores.tsv", by=["device", "city"]).to_dict()["scores.tsv"]["by"]
    right = np.array(table.truth) == np.array(table.labels.names)[table.probabilities.argmax(axis=1)]
    of_rows = np.array(table.carried["source_label"])
    for device in ("phone", "camera"):
        assert found["device"][device]["accuracy"] == pytest.approx(right[of_rows == device].mean(), abs=1e-6)
    assert list(found["city"]) == ["oslo"]
