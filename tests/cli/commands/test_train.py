"""Test `train`, `predict`, `evaluate` and `classify` with one trained system: what they write, print and refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as oracle

from avscene.fusion.pooling import log_pool
from avscene.tables.prediction_table import read_table
from tests.support.command_line import Command, Run, call, run
from tests.support.scene_data import SCENES, scene_image, write_scene


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    def with_precision(*arguments: object) -> Run:
        return run(capfd, *arguments, *(("--precision", "float32") if arguments[0] in ("train", "predict") else ()))

    return with_precision


@pytest.fixture(scope="module")
def data(scene_data: Path) -> Path:
    return scene_data


@pytest.fixture(scope="module")
def system(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a system trained on folds 1 to 3."""
    output = tmp_path_factory.mktemp("runs") / "system"
    arguments = ("--data", data, "--output", output, "--holdout", "fold=4", "--precision", "float32")
    assert call("train", "fast", *arguments) == 0
    return output


@pytest.fixture(scope="module")
def scores(data: Path, system: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of fold 4; the tables of the models are beside it."""
    output = tmp_path_factory.mktemp("tables") / "scores.tsv"
    arguments = ("--system", system, "--data", data, "--only", "fold=4", "--output", output, "--precision", "float32")
    assert call("predict", *arguments, "--by-model") == 0
    return output


# train


def test_train_prints_what_it_trains_on_and_the_metrics(command: Command, data: Path, tmp_path: Path) -> None:
    run = command("train", "fast", "--data", data, "--output", tmp_path / "new" / "system", "--holdout", "fold=4")
    assert run.code == 0
    training, few = run.messages
    assert training == "training on 9 recordings, 3 scenes; held out: fold=4"
    assert few.startswith("few groups: 3 of cave, furnace, meadow; figures depend on single places")
    system, lines = tmp_path / "new" / "system", run.out.splitlines()
    assert [line.partition(":")[0] for line in lines[:6]] == ["audio", "video", "fused"] * 2
    assert all(line.endswith("(out of fold, 18 segments)") for line in lines[:3])
    assert all(line.endswith("(held out: fold=4, 6 segments)") for line in lines[3:6])
    assert "accuracy 1.0000 (1.0000 to 1.0000)" in lines[2]
    assert lines[6:9] == [
        # ln 3, and one of three scenes
        "chance: log loss 1.0986 (equal probabilities), accuracy 0.3333 (always the most frequent scene)",
        "most frequent errors: none",
        "in brackets: 95% intervals over groups",
    ]
    assert lines[9:] == [
        f"{system}: written",
        f"next: avscene evaluate {system / 'held_out' / 'fused.tsv'} --report {system}.html",
        f"next: avscene classify VIDEO --system {system}",
    ]


def test_the_held_out_part_is_predicted_as_by_predict(system: Path, scores: Path) -> None:
    for part, name in (("", "fused"), (".audio", "audio"), (".video", "video")):
        judged, predicted = (
            read_table(system / "held_out" / f"{name}.tsv"),
            read_table(scores.with_name(f"scores{part}.tsv")),
        )
        assert (judged.filenames, judged.truth, judged.groups) == (
            predicted.filenames,
            predicted.truth,
            predicted.groups,
        )
        np.testing.assert_array_equal(judged.probabilities, predicted.probabilities)


def test_the_held_out_part_is_not_trained_on(system: Path) -> None:
    assert json.loads((system / "config.json").read_text())["training"]["held_out"] == "fold=4"
    for name in ("audio", "video", "fused"):
        assert not any("-3.mp4" in name for name in read_table(system / "out_of_fold" / f"{name}.tsv").filenames)


def test_a_test_split_is_held_out_by_default(command: Command, data: Path, tmp_path: Path) -> None:
    lines = (data / "meta.csv").read_text().splitlines()
    parts = ["split", *("test" if line.endswith(",4") else "train" for line in lines[1:])]
    (data / "split.csv").write_text("".join(f"{line},{part}\n" for line, part in zip(lines, parts, strict=True)))
    run = command("train", "fast", "--data", data / "split.csv", "--output", tmp_path / "system")
    assert run.code == 0
    assert run.messages[0] == "training on 9 recordings, 3 scenes; held out: split=test"


def test_a_folder_per_scene_is_trained_on(command: Command, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data", ignore=shutil.ignore_patterns("*.csv"))
    run = command("train", "fast", "--data", tmp_path / "data", "--output", tmp_path / "system")
    assert run.code == 0
    training, without = run.messages
    assert training == "training on 12 recordings, 3 scenes; held out: nothing"
    assert without.startswith(
        "12 files without groups: recordings of one place may be on both sides; figures are optim"
    )
    assert "held out" not in run.out
    content = json.loads((tmp_path / "system" / "config.json").read_text())
    assert content["labels"] == list(SCENES)
    assert content["training"]["data"] == "data"


def test_an_unreadable_recording_is_skipped_and_reported(command: Command, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "cave" / "cave-0.mp4").write_bytes(b"not a video")
    run = command("train", "fast", "--data", tmp_path / "data", "--output", tmp_path / "system")
    assert run.code == 3
    (skipped,) = [message for message in run.messages if message.startswith("skipped: ")]
    assert "cave-0.mp4" in skipped
    assert "22 segments" in run.out
    assert (tmp_path / "system" / "config.json").is_file()


def test_with_too_little_audio_only_video_is_trained_and_reported(command: Command, tmp_path: Path) -> None:
    for scene in SCENES:
        for index in range(2):
            write_scene(tmp_path / "data" / scene / f"{index}.png", scene, index)
    write_scene(tmp_path / "data" / "cave" / "loud.mp4", "cave", 7)
    run = command("train", "fast", "--data", tmp_path / "data", "--output", tmp_path / "system")
    assert run.code == 0
    assert any("no model 'audio': scene 'cave' has 1 readable group(s)" in line for line in run.messages)
    assert [line.partition(":")[0] for line in run.out.splitlines()[:2]] == ["video", "fused"]


def test_one_scene_cannot_be_trained_on(command: Command, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "cave", tmp_path / "data" / "cave")
    message = command("train", "fast", "--data", tmp_path / "data", "--output", tmp_path / "system").error()
    assert "all recordings are of one scene (cave)" in message


def test_a_scene_with_one_group_is_refused(command: Command, data: Path, tmp_path: Path) -> None:
    rows = (data / "meta.csv").read_text().splitlines()
    (data / "few.csv").write_text("\n".join([*rows[:5], rows[5], *rows[9:]]) + "\n")  # one group of furnace
    message = command("train", "fast", "--data", data / "few.csv", "--output", tmp_path / "system").error()
    assert "scene 'furnace' has 1 readable group(s)" in message
    assert not (tmp_path / "system").exists()


def test_a_group_on_both_sides_of_the_holdout_is_refused(command: Command, data: Path, tmp_path: Path) -> None:
    text = (data / "meta.csv").read_text()
    (data / "leak.csv").write_text(text.replace(",cave3,", ",cave0,"))
    message = command(
        "train", "fast", "--data", data / "leak.csv", "--output", tmp_path / "system", "--holdout", "fold=4"
    ).error()
    assert "group 'cave0' is in both" in message


REFUSED: dict[str, tuple[list[str], str]] = {
    "an unknown value": (["--holdout", "fold=9"], "no recording has fold=9; fold is one of 1, 2, 3, 4"),
    "an unknown column": (["--holdout", "flod=4"], "has no column 'flod'; it has fold, group, label"),
    "no condition": (["--holdout", "4"], "'4' is not COLUMN=VALUE"),
    "no hop": (["--hop", "0"], "hop"),
    "a negative hop": (["--hop", "-1"], "hop"),
    "a hop without an end": (["--hop", "inf"], "hop"),
    "an unknown device": (["--device", "tpu"], "device 'tpu' is not one of auto, cpu, cuda"),
    "a hop in words": (["--hop", "long"], "--hop"),
    "an unknown option": (["--epochs", "3"], "--epochs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_options_are_one_line_and_write_nothing(command: Command, data: Path, tmp_path: Path, case: str) -> None:
    options, expected = REFUSED[case]
    message = command("train", "fast", "--data", data, "--output", tmp_path / "system", *options).error()
    assert expected in message
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_recipe_is_refused(command: Command, data: Path, tmp_path: Path) -> None:
    message = command("train", "slow", "--data", data, "--output", tmp_path / "system").error()
    assert message.startswith("system 'slow' is not one of B01, A01")


def test_missing_data_is_refused(command: Command, tmp_path: Path) -> None:
    message = command("train", "fast", "--data", tmp_path / "gone", "--output", tmp_path / "system").error()
    assert message == f"{tmp_path / 'gone'}: no such file or directory"


def test_an_existing_output_is_refused(command: Command, data: Path, system: Path) -> None:
    before = (system / "config.json").read_bytes()
    message = command("train", "fast", "--data", data, "--output", system).error()
    assert message == f"{system}: already exists; try: --overwrite, or another --output"
    assert (system / "config.json").read_bytes() == before


# predict


def test_predict_writes_a_fused_table_and_one_for_each_model(scores: Path, system: Path) -> None:
    assert sorted(path.name for path in scores.parent.iterdir()) == [
        "scores.audio.tsv",
        "scores.tsv",
        "scores.tsv.journal",
        "scores.video.tsv",
    ]
    fused, audio, video = (read_table(scores.with_name(f"scores{part}.tsv")) for part in ("", ".audio", ".video"))
    assert fused.labels.names == tuple(SCENES)
    assert fused.filenames == tuple(f"{scene}/{scene}-3.mp4" for scene in SCENES for _ in range(2))
    assert list(np.asarray(fused.starts)) == [0.0, 1.0] * 3
    assert fused.truth == tuple(scene for scene in SCENES for _ in range(2))
    assert fused.groups == tuple(f"{scene}3" for scene in SCENES for _ in range(2))
    exponents = json.loads((system / "config.json").read_text())["fusion"]["rule"]["exponents"]
    pooled = log_pool(
        np.stack([audio.probabilities, video.probabilities]), np.array([exponents["audio"], exponents["video"]])
    )
    np.testing.assert_allclose(fused.probabilities, pooled, atol=1e-6)
    assert (fused.probabilities.argmax(axis=1) == fused.truth_index).all()


def test_predict_prints_the_files_it_wrote(command: Command, data: Path, system: Path, tmp_path: Path) -> None:
    run = command("predict", "--system", system, "--data", data, "--only", "fold=1", "--output", tmp_path / "x.tsv")
    assert (run.code, run.messages, run.out) == (0, [], f"{tmp_path / 'x.tsv'}: written\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tsv", "x.tsv.journal"]


def test_predict_of_parts_and_of_the_whole_is_the_same(
    command: Command, data: Path, system: Path, scores: Path, tmp_path: Path
) -> None:
    assert command("predict", "--system", system, "--data", data, "--output", tmp_path / "all.tsv").code == 0
    whole, part = read_table(tmp_path / "all.tsv"), read_table(scores)
    assert len(whole) == 24
    rows = [row for row, name in enumerate(whole.filenames) if "-3.mp4" in name]
    np.testing.assert_allclose(whole.probabilities[rows], part.probabilities, atol=1e-4)


def test_recordings_without_a_modality_have_rows_of_the_other_model(
    command: Command, system: Path, tmp_path: Path
) -> None:
    write_scene(tmp_path / "data" / "cave" / "without_video.wav", "cave", 31, video=False)
    write_scene(tmp_path / "data" / "meadow" / "without_audio.mp4", "meadow", 32, audio=False)
    write_scene(tmp_path / "data" / "meadow" / "photo.png", "meadow", 33)
    run = command(
        "predict", "--system", system, "--data", tmp_path / "data", "--output", tmp_path / "x.tsv", "--by-model"
    )
    assert (run.code, run.messages) == (0, [])
    fused, audio, video = (read_table(tmp_path / f"x{part}.tsv") for part in ("", ".audio", ".video"))
    assert set(fused.filenames) == {"cave/without_video.wav", "meadow/without_audio.mp4", "meadow/photo.png"}
    assert set(audio.filenames) == {"cave/without_video.wav"}
    assert set(video.filenames) == {"meadow/without_audio.mp4", "meadow/photo.png"}
    alone = [row for row, name in enumerate(fused.filenames) if name == "cave/without_video.wav"]
    # The fusion of one model is the model.
    np.testing.assert_allclose(fused.probabilities[alone], audio.probabilities, atol=1e-4)


def test_an_unreadable_recording_is_reported_and_the_others_are_written(
    command: Command, data: Path, system: Path, tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "cave" / "cave-3.mp4").write_bytes(b"not a video")
    arguments = ("--system", system, "--data", tmp_path / "data", "--only", "fold=4", "--output", tmp_path / "x.tsv")
    run = command("predict", *arguments)
    assert run.code == 3
    assert len(run.messages) == 1
    assert "cave-3.mp4" in run.messages[0]
    assert len(read_table(tmp_path / "x.tsv")) == 4


def test_a_scene_outside_the_label_set_is_refused(command: Command, data: Path, system: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "cave", tmp_path / "data" / "cave")
    shutil.copytree(data / "meadow", tmp_path / "data" / "attic")
    message = command(
        "predict", "--system", system, "--data", tmp_path / "data", "--output", tmp_path / "x.tsv"
    ).error()
    assert "scene 'attic' (attic/meadow-0.mp4) is not one of the system's: cave, furnace, meadow" in message
    assert not (tmp_path / "x.tsv").exists()


def test_labels_other_than_the_systems_own_are_refused(
    command: Command, data: Path, system: Path, tmp_path: Path
) -> None:
    arguments = ("--system", system, "--data", data, "--output", tmp_path / "x.tsv", "--labels", "cave,meadow")
    assert "was trained on the scenes cave, furnace, meadow" in command("predict", *arguments).error()


def test_a_damaged_checkpoint_is_refused(command: Command, data: Path, system: Path, tmp_path: Path) -> None:
    shutil.copytree(system, tmp_path / "system")
    weights = tmp_path / "system" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    arguments = ("--system", tmp_path / "system", "--data", data, "--output", tmp_path / "x.tsv")
    assert "model.safetensors: was changed" in command("predict", *arguments).error()


def test_a_zero_shot_system_predicts_the_scenes_of_the_whole_data_set(
    command: Command, data: Path, tmp_path: Path
) -> None:
    """Tables of two parts have the same columns, whichever scenes the parts hold."""
    arguments = ("--system", "conse", "--data", data, "--output", tmp_path / "x.tsv")
    assert command("predict", *arguments, "--only", "label=cave").code == 0
    assert read_table(tmp_path / "x.tsv").labels.names == tuple(SCENES)


def test_tau_with_separate_audio_files_is_trained_on(command: Command, tmp_path: Path) -> None:
    """In TAU's layout the videos have no audio track: the audio is in separate wav files."""
    root, header = tmp_path / "tau", "filename_audio\tfilename_video\tscene_label\n"
    lists = {
        "meta.csv": header,
        "evaluation_setup/fold1_train.csv": header,
        "evaluation_setup/fold1_evaluate.csv": header,
    }
    (root / "evaluation_setup").mkdir(parents=True)
    for number, scene in enumerate(("cave", "meadow")):
        for index in range(3):
            name = f"{scene}-lyon-{10 * number + index}-{index}"
            write_scene(root / "audio" / f"{name}.wav", scene, 50 + index, video=False)
            write_scene(root / "video" / f"{name}.mp4", scene, 60 + index, audio=False)
            part = "fold1_evaluate.csv" if index == 2 else "fold1_train.csv"
            for path in ("meta.csv", f"evaluation_setup/{part}"):
                lists[path] += f"audio/{name}.wav\tvideo/{name}.mp4\t{scene}\n"
    for path, text in lists.items():
        (root / path).write_text(text)
    run = command("train", "fast", "--data", root, "--output", tmp_path / "system")
    assert (run.code, run.messages[0]) == (0, "training on 4 recordings, 2 scenes; held out: split=test")
    assert [line.partition(":")[0] for line in run.out.splitlines()[:3]] == ["audio", "video", "fused"]
    part = ("--data", root, "--only", "split=test", "--output", tmp_path / "x.tsv")
    assert command("predict", "--system", tmp_path / "system", *part, "--by-model").code == 0
    for table in (read_table(tmp_path / f"x{model}.tsv") for model in ("", ".audio", ".video")):
        assert table.filenames == ("video/cave-lyon-2-2.mp4",) * 2 + ("video/meadow-lyon-12-2.mp4",) * 2
        assert (table.probabilities.argmax(axis=1) == table.truth_index).all()


# evaluate


def test_metrics_are_those_of_scikit_learn(command: Command, scores: Path, tmp_path: Path) -> None:
    tables = [scores, scores.with_suffix(".audio.tsv"), scores.with_suffix(".video.tsv")]
    run = command("evaluate", *tables, "--json", tmp_path / "metrics.json", "--report", tmp_path / "report.html")
    assert (run.code, run.messages) == (0, [])
    by_table = json.loads((tmp_path / "metrics.json").read_text())
    assert list(by_table) == [path.name for path in tables]
    for path in tables:
        table, metrics = read_table(path), by_table[path.name]
        truth, predicted = table.truth_index, table.probabilities.argmax(axis=1)
        assert metrics["n"] == 6
        assert metrics["log_loss"] == pytest.approx(oracle.log_loss(truth, table.probabilities), rel=1e-6, abs=1e-9)
        assert metrics["accuracy"] == pytest.approx(oracle.accuracy_score(truth, predicted))
        assert metrics["accuracy_macro"] == pytest.approx(oracle.balanced_accuracy_score(truth, predicted))
        scored = oracle.precision_recall_fscore_support(truth, predicted, zero_division=0)
        for index, scene in enumerate(SCENES):
            found = [metrics["per_class"][scene][name] or 0 for name in ("precision", "recall", "f1", "n")]
            assert found == pytest.approx([column[index] for column in scored])
        assert f"{path.name}: 6 rows" in run.out
    report = (tmp_path / "report.html").read_text()
    assert all(scene in report for scene in SCENES)


def test_out_of_fold_tables_can_be_evaluated(command: Command, system: Path, tmp_path: Path) -> None:
    run = command("evaluate", system / "out_of_fold" / "fused.tsv", "--json", tmp_path / "metrics.json")
    assert run.code == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())["fused.tsv"]
    content = json.loads((system / "config.json").read_text())
    assert metrics["log_loss"] == pytest.approx(content["metrics"]["fused"]["log_loss"], rel=1e-6, abs=1e-9)


def test_a_missing_table_is_refused(command: Command, tmp_path: Path) -> None:
    assert "gone.tsv: No such file" in command("evaluate", tmp_path / "gone.tsv").error()


# classify


def classified(command: Command, path: Path, system: Path) -> dict:
    run = command("classify", path, "--system", system, "--precision", "float32", "--format", "json")
    assert (run.code, run.messages) == (0, [])
    return json.loads(run.out)


def test_a_recording_is_classified(command: Command, system: Path, tmp_path: Path) -> None:
    found = classified(command, write_scene(tmp_path / "recording.mp4", "furnace", 41), system)
    assert (found["scene"], found["labels"], found["warnings"]) == ("furnace", list(SCENES), [])
    assert found["modalities"] == {"audio": True, "video": True}
    assert [set(segment["by_model"]) for segment in found["segments"]] == [{"audio", "video"}] * 2


@pytest.mark.parametrize(
    ("name", "lacks", "modality", "warning"),
    [
        ("without_video.wav", {"video": False}, "audio", "no video track: model `video` was skipped"),
        ("without_video.m4a", {"video": False}, "audio", "no video track: model `video` was skipped"),
        ("without_audio.mp4", {"audio": False}, "video", "no audio track: model `audio` was skipped"),
        ("photo.png", {}, "video", "no audio track: model `audio` was skipped"),
    ],
)
def test_without_one_modality_the_other_classifies_and_a_warning_is_given(
    command: Command, system: Path, tmp_path: Path, name: str, lacks: dict[str, bool], modality: str, warning: str
) -> None:
    found = classified(command, write_scene(tmp_path / name, "meadow", 42, **lacks), system)
    assert found["modalities"] == {"audio": modality == "audio", "video": modality == "video"}
    assert warning in found["warnings"]
    assert found["scene"] == "meadow"
    for segment in found["segments"]:
        assert set(segment["by_model"]) == {modality}
        assert segment["scores"] == pytest.approx(segment["by_model"][modality], abs=1e-4)


def test_no_two_test_recordings_are_copies() -> None:
    images = [scene_image("cave", np.random.default_rng(seed)) for seed in range(3)]
    assert not np.array_equal(images[0], images[1])
    assert np.abs(images[0].mean((0, 1)) - images[2].mean((0, 1))).max() < 30
