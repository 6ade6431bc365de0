"""Test the way of a participant in the challenge: train, predict an evaluation set without labels, submit."""

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from avscene.labels import TAU_SCENES
from avscene.tables import submission
from avscene.tables.prediction_table import read_table
from tests.support.command_line import run

LABEL = "Okazaki_LINE_task1b_1"


def write_evaluation_set(town: Path, root: Path) -> list[str]:
    """Copy the test recordings of `town` to `audio/N.wav` and `video/N.mp4` in `root`; return their scenes."""
    with (town / "evaluation_setup" / "fold1_evaluate.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for kind, column, ending in (("audio", "filename_audio", "wav"), ("video", "filename_video", "mp4")):
        (root / kind).mkdir(parents=True)
        for number, row in enumerate(rows):
            shutil.copy(town / row[column], root / kind / f"{number}.{ending}")
    return [row["scene_label"] for row in rows]


def test_from_a_development_set_and_an_unlabelled_evaluation_set_to_a_submission(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, system, table, output = (tmp_path / name for name in ("town", "system", "scores.tsv", "submission"))
    command = ("data", "toytown", town, "--locations", 3, "--recordings", 1, "--seconds", 1)
    assert run(capfd, *command).code == 0
    scenes = write_evaluation_set(town, tmp_path / "evaluation")
    monkeypatch.setattr(submission, "EVALUATION_FILES", len(scenes))  # instead of 72,000

    trained = run(capfd, "train", "fast", "--data", town, "--output", system, "--precision", "float32")
    assert trained.code == 0
    assert f"(held out: split=test, {len(scenes)} segments)" in trained.out  # the development set's own test part

    arguments = ("--system", system, "--data", tmp_path / "evaluation", "--precision", "float32")
    predicted = run(capfd, "predict", *arguments, "--output", table)
    assert (predicted.code, predicted.out) == (0, f"{table}: written\n")
    assert read_table(table).truth is None

    submitted = run(capfd, "submit", table, "--output", output, "--name", LABEL)
    path, description = output / f"{LABEL}.output.csv", output / f"{LABEL}.meta.yaml"
    assert submitted.out == (
        f"{path}: a submission of all {len(scenes)} files of the evaluation set\n"
        f"{description}: a description to fill in\n"
    )
    assert run(capfd, "submit", "--check", path).code == 0
    assert yaml.safe_load(description.read_text())["submission"]["label"] == LABEL

    # The rules of the organisers' validator (DCASE 2020 task 1).
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    assert header == ["filename", "scene_label", *TAU_SCENES]
    assert [row[0] for row in rows] == [f"{number}.wav" for number in range(len(scenes))]
    for row in rows:
        assert len(row) == len(header)
        assert row[1] in TAU_SCENES
        assert sum(map(float, row[2:])) == pytest.approx(1)
    # Far above chance, so names and scenes are those of the files; the held-out part of training was the same files.
    accuracy = sum(row[1] == scene for row, scene in zip(rows, scenes, strict=True)) / len(scenes)
    assert accuracy >= 0.4
    held_out = read_table(system / "held_out" / "fused.tsv")
    held_accuracy = sum(held_out.probabilities.argmax(axis=1) == held_out.truth_index) / len(held_out)
    assert accuracy == pytest.approx(held_accuracy)
