"""Test system `fast` on real media: what it learns, its checkpoint, recordings without audio or video."""

import csv
import io
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from avscene import inference as pipeline
from avscene.datasets.layout import read_dataset
from avscene.errors import CheckpointError, DataError, MediaError, UsageError
from avscene.evaluation.metrics import compute_metrics
from avscene.familiarity.detector import FamiliarityDetector
from avscene.fusion.pooling import log_pool
from avscene.models.device import Runtime
from avscene.tables.prediction_table import read_table
from avscene.training.train import Trained, train_system
from tests.support.command_line import run as command
from tests.support.ffmpeg_program import ffmpeg
from tests.support.scene_data import RECORDINGS, SCENES, SECONDS, train_on, write_data, write_scene

FAMILIARITY = [f"familiarity.{field.name}" for field in fields(FamiliarityDetector)]
CPU = Runtime.choose("cpu", "float32")


@pytest.fixture
def data(scene_data: Path) -> Path:
    return scene_data


@pytest.fixture
def run(scene_system: Trained) -> Trained:
    return scene_system


def test_distinct_scenes_are_learned(run: Trained) -> None:
    assert run.failures == ()
    assert list(run.metrics) == ["audio", "video", "fused"]
    for metrics in run.metrics.values():
        assert metrics["n"] == len(SCENES) * RECORDINGS * SECONDS
        assert metrics["accuracy"] >= 0.9
    assert run.metrics["fused"]["accuracy"] == 1
    assert run.metrics["fused"]["log_loss"] <= min(run.metrics[name]["log_loss"] for name in ("audio", "video")) + 0.01


def test_files_of_a_checkpoint(run: Trained) -> None:
    found = sorted(path.relative_to(run.directory).as_posix() for path in run.directory.rglob("*") if path.is_file())
    tables = ["out_of_fold/audio.tsv", "out_of_fold/fused.tsv", "out_of_fold/video.tsv"]
    assert found == ["README.md", "config.json", "model.safetensors", *tables]
    assert [path.name for path in run.directory.parent.iterdir()] == ["system"]


def test_the_configuration_describes_the_training(run: Trained) -> None:
    content = json.loads((run.directory / "config.json").read_text())
    training = content["training"]
    assert content["labels"] == list(SCENES)
    assert (training["data"], training["held_out"]) == ("meta.csv", None)
    assert (training["recordings"], training["unreadable_recordings"]) == (12, 0)
    assert (training["segments"], training["groups"]) == (24, 12)
    assert set(training["heads"]) == {"audio", "video"}
    assert content["versions"]["avscene"]
    assert content["metrics"] == json.loads(json.dumps(run.metrics))
    assert set(content["mismatch"]["scenes"]) == set(SCENES)
    card = (run.directory / "README.md").read_text()
    assert "a detector of audio that does not belong to the video" in card
    assert "fitted on recordings of which half are mismatches" in card
    assert "marked as unfamiliar: 5% of those of the scenes above" in card


@pytest.mark.parametrize("name", ["audio", "video", "fused"])
def test_metrics_are_those_of_the_out_of_fold_tables(run: Trained, data: Path, name: str) -> None:
    table = read_table(run.directory / "out_of_fold" / f"{name}.tsv")
    assert set(table.filenames) == {example.name for example in read_dataset(data).examples}
    assert len(table) == 24
    assert set(table.groups or ()) == {f"{scene}{number}" for scene in SCENES for number in range(RECORDINGS)}
    assert set(np.asarray(table.starts)) == {0.0, 1.0}
    again, stored = compute_metrics(table).to_dict(), dict(run.metrics[name])
    assert again.pop("per_class").keys() == stored.pop("per_class").keys() == SCENES.keys()
    assert again == pytest.approx(stored, rel=1e-6, abs=1e-9)


def test_the_fused_table_is_the_pool_of_the_other_tables(run: Trained) -> None:
    tables = {name: read_table(run.directory / "out_of_fold" / f"{name}.tsv") for name in ("audio", "video", "fused")}
    exponents = json.loads((run.directory / "config.json").read_text())["fusion"]["rule"]["exponents"]
    pooled = log_pool(np.stack([tables[name].probabilities for name in exponents]), np.array(list(exponents.values())))
    np.testing.assert_allclose(tables["fused"].probabilities, pooled, atol=1e-6)


def test_a_trained_system_classifies_new_recordings(run: Trained, tmp_path: Path) -> None:
    system = pipeline.load(run.directory, device="cpu", precision="float32")
    for scene in SCENES:
        prediction = system.classify(write_scene(tmp_path / f"{scene}.mp4", scene, seed=99))
        assert prediction.scene == scene
        assert prediction.score > 0.8
        assert [set(segment.by_model) for segment in prediction.segments] == [{"audio", "video"}] * SECONDS
        assert prediction.familiarity is not None


def test_a_recording_of_another_scene_is_unfamiliar(
    run: Trained, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The scenes are of one color and one noise each; a checkered film with a siren is like none of them."""
    path, arguments = tmp_path / "siren.mp4", ("--system", run.directory, "--device", "cpu", "--precision", "float32")
    source = "testsrc2=size=160x120:rate=10:duration=3", "sine=frequency=3000:beep_factor=2:duration=3"
    ffmpeg(*(part for text in source for part in ("-f", "lavfi", "-i", text)), "-shortest", path)
    shown = command(capfd, "classify", path, *arguments).out
    assert "unfamiliar: 3 of 3 segments are unlike those that the system was trained on" in shown.splitlines()[1]
    found = json.loads(command(capfd, "classify", path, *arguments, "--format", "json").out)
    assert found["familiarity"]["familiar"] is False
    assert all(segment["familiarity"]["score"] < 0.05 for segment in found["segments"])
    assert found["mismatch"] is None
    assert [segment["mismatch"] for segment in found["segments"]] == [None] * 3
    text = command(capfd, "classify", path, *arguments, "--format", "csv").out
    assert all(float(row["familiarity"]) < 0.05 for row in csv.DictReader(io.StringIO(text)))


def test_training_twice_gives_the_same_system(run: Trained, data: Path, tmp_path: Path) -> None:
    again = train_on(data, tmp_path / "again")
    first, second = (load_file(made.directory / "model.safetensors") for made in (run, again))
    assert (
        first.keys()
        == second.keys()
        == {f"{name}.{part}" for name in ("audio", "video") for part in ("weight", "bias", *FAMILIARITY)}
    )
    for name in (name for name in first if "familiarity" not in name):  # whose axes may differ in sign
        np.testing.assert_allclose(second[name], first[name], atol=1e-5)
    assert again.metrics["fused"]["log_loss"] == pytest.approx(run.metrics["fused"]["log_loss"], abs=1e-6)


def test_another_hop_is_stored(data: Path, tmp_path: Path) -> None:
    half = train_on(data, tmp_path / "half", hop=0.5)
    assert half.metrics["fused"]["n"] == 48
    system = pipeline.load(half.directory, device="cpu", precision="float32")
    assert system.hop == 0.5
    assert len(system.classify(data / "cave" / "cave-0.mp4").segments) == 4


def test_progress_counts_recordings(data: Path, tmp_path: Path) -> None:
    steps: dict[str, list[tuple[int, int]]] = {}
    train_system(
        "fast",
        data,
        tmp_path / "system",
        holdout="fold=4",
        hop=1.0,
        runtime=CPU,
        progress=lambda stage: lambda done, total: steps.setdefault(stage, []).append((done, total)),
    )
    assert all(seen == sorted(seen) for seen in steps.values())
    assert [seen[-1] for seen in steps.values()] == [(9, 9), (3, 3)]  # training, and what is held out


# Recordings without audio or video, and unreadable ones


def write_videos_without_audio(root: Path) -> Path:
    """Write a folder for each scene with two videos without audio."""
    for scene in SCENES:
        for number in range(2):
            write_scene(root / scene / f"without_audio-{number}.mp4", scene, 6 + number, audio=False)
    return root


def test_videos_without_audio_train_a_system_of_frames(tmp_path: Path) -> None:
    run = train_on(write_videos_without_audio(tmp_path / "data"), tmp_path / "system")
    assert list(run.metrics) == ["video", "fused"]
    system = pipeline.load(run.directory, device="cpu", precision="float32")
    assert [model.name for model in system.models] == ["video"]
    assert system.mismatch is None


def test_audio_and_video_of_different_recordings_are_both_learned(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for scene in SCENES:
        for number in range(3):
            write_scene(root / scene / f"{number}.wav", scene, number, video=False)
            write_scene(root / scene / f"{number}.png", scene, number)
    run = train_on(root, tmp_path / "system")
    assert {name: metrics["n"] for name, metrics in run.metrics.items()} == {"audio": 18, "video": 9, "fused": 27}
    assert run.metrics["fused"]["accuracy"] >= 0.9
    assert json.loads((run.directory / "config.json").read_text())["mismatch"] is None
    recording = write_scene(tmp_path / "new.mp4", "meadow", seed=98)
    assert pipeline.load(run.directory, device="cpu", precision="float32").classify(recording).scene == "meadow"


def test_one_recording_with_audio_trains_no_audio_model(tmp_path: Path) -> None:
    """A model of audio needs two groups of every scene; one recording in nine does not suffice."""
    root = write_videos_without_audio(tmp_path / "data")
    write_scene(root / "cave" / "audio.mp4", "cave", seed=3)
    run = train_on(root, tmp_path / "system")
    assert list(run.metrics) == ["video", "fused"]


def test_audio_of_one_scene_only_trains_no_audio_model(tmp_path: Path) -> None:
    """Otherwise every recording with audio would be classified as that scene."""
    root = write_videos_without_audio(tmp_path / "data")
    for number in range(3):
        write_scene(root / "cave" / f"audio-{number}.mp4", "cave", seed=number)
    run = train_on(root, tmp_path / "system")
    assert list(run.metrics) == ["video", "fused"]


def test_a_scene_with_one_group_is_refused(tmp_path: Path) -> None:
    root = write_videos_without_audio(tmp_path / "data")
    (root / "meadow" / "without_audio-1.mp4").unlink()
    with pytest.raises(DataError, match=r"scene 'meadow' has 1 readable group\(s\)"):
        train_on(root, tmp_path / "system")
    assert not (tmp_path / "system").exists()


def test_an_unreadable_recording_is_left_out_and_reported(tmp_path: Path) -> None:
    root = write_data(tmp_path / "data", scenes=("cave", "meadow"), recordings=3)
    (root / "cave" / "cave-0.mp4").write_bytes(b"not a video")
    run = train_on(root, tmp_path / "system")
    assert len(run.failures) == 1
    assert "cave-0.mp4" in run.failures[0]
    assert run.metrics["fused"]["n"] == 10
    assert json.loads((run.directory / "config.json").read_text())["training"]["unreadable_recordings"] == 1


def test_data_without_a_readable_recording_are_refused(tmp_path: Path) -> None:
    for name in ("a/1.mp4", "a/2.mp4", "b/1.mp4", "b/2.mp4"):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"not a video")
    with pytest.raises(MediaError, match=r"none of its 4 recordings can be read; first: .*1\.mp4"):
        train_on(tmp_path / "data", tmp_path / "system")


# Refusals before any work


@pytest.mark.parametrize("hop", [0.0, -1.0, float("nan"), float("inf"), 1e-5, 0.005])
def test_an_invalid_hop_is_refused(data: Path, tmp_path: Path, hop: float) -> None:
    with pytest.raises(UsageError, match="hop"):
        train_on(data, tmp_path / "system", hop=hop)


def test_an_existing_output_is_refused_before_any_work(data: Path, tmp_path: Path) -> None:
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "notes.txt").touch()
    steps: list[tuple[int, int]] = []
    with pytest.raises(CheckpointError, match="already exists"):
        train_system(
            "fast",
            data,
            tmp_path / "system",
            holdout=None,
            hop=1.0,
            runtime=CPU,
            progress=lambda _: lambda done, total: steps.append((done, total)),
        )
    assert not steps
