"""Test fine-tuning: learning, exact resumption after a kill, several processes, and what is refused."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import CheckpointError, DataError, UsageError, WeightsError
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.models.device import Runtime
from avscene.training.fine_tuning.finetune import finetune
from avscene.training.fine_tuning.metrics_log import METRICS, MetricsLog
from avscene.training.fine_tuning.networks import (
    initial_network,
    optimiser_for,
    training_precision,
)
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.rows import usable_rows
from avscene.training.fine_tuning.state import STATE, write_state
from avscene.training.processes import Processes
from avscene.training.result import TrainedModel
from tests.support.finetune_process import train
from tests.support.processes import ROOT
from tests.support.scene_data import RECORDINGS
from tests.support.small_store import CLEAN, make_store, plan, train_and_validation_rows

CPU = Runtime.choose("cpu", "float32")
KINDS = ("audio", "video")


@pytest.fixture(scope="module")
def uninterrupted(store: SegmentStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, Path]:
    """The small audio training, run without interruption, and the directory of its state."""
    state = tmp_path_factory.mktemp("uninterrupted")
    return train(store.directory, state, "audio"), state


def run(store: SegmentStore, state: Path, wanted: NetworkPlan, runtime: Runtime = CPU) -> TrainedModel:
    return finetune(store, *train_and_validation_rows(store), wanted, store.labels, state, runtime)


def step(store: SegmentStore, state: Path, runtime: Runtime = CPU, **changes: Any) -> TrainedModel:
    """A training of a single step."""
    rows, valid = train_and_validation_rows(store)
    return finetune(store, rows[::4], valid[:2], plan("video", epochs=1, **changes), store.labels, state, runtime)


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def in_process(*arguments: object, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *launcher, "-m", "tests.support.finetune_process", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


# --- learning ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_learns_a_small_set(store: SegmentStore, tmp_path: Path, kind: str) -> None:
    trained = run(store, tmp_path, plan(kind, image_size=(48, 48), batch=9, micro_batch=9, epochs=5, **CLEAN))
    assert trained.history[-1]["train_loss"] < 0.4 * trained.history[0]["train_loss"]
    model = trained.part.build(store.labels, trained.tensors, CPU)
    rows, valid = train_and_validation_rows(store)
    truth = store.truth(store.labels.names)
    on_training_rows = model.score(store.segments(rows)).probabilities
    assert accuracy(truth[rows], on_training_rows) > 0.9
    assert log_loss(truth[rows], on_training_rows) < 0.5
    # The validation metrics are those of the returned model on clean segments.
    on_validation_rows = model.score(store.segments(valid)).probabilities
    best = min(trained.history, key=lambda row: row["valid_log_loss"])
    assert log_loss(truth[valid], on_validation_rows) == pytest.approx(best["valid_log_loss"], abs=1e-5)
    assert accuracy(truth[valid], on_validation_rows) == best["valid_accuracy"]
    assert trained.details["best_epoch"] == best["epoch"]
    assert trained.details["valid_log_loss"] == best["valid_log_loss"] < math.log(3)
    assert trained.details["parameters"] == pytest.approx(3.37e6, rel=0.01)


def test_the_history_has_every_epoch(uninterrupted: tuple[TrainedModel, Path]) -> None:
    trained, state = uninterrupted
    assert [row["epoch"] for row in trained.history] == [1, 2]
    assert [row["step"] for row in trained.history] == [3, 6]
    lines = [json.loads(line) for line in (state / METRICS).read_text().splitlines()]
    assert [line for line in lines if "epoch" in line] == trained.history
    assert [line["step"] for line in lines if "step_loss" in line] == [1, 2, 3, 4, 5, 6]
    first = [line["step_loss"] for line in lines[:3]]
    assert trained.history[0]["train_loss"] == pytest.approx(np.mean(first))
    assert first[0] == pytest.approx(math.log(3), abs=1e-6)  # a classifier of zeros is uniform
    assert any((state / "tensorboard").glob("events.*"))


def test_bfloat16_products_train_float32_weights(
    store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = step(store, tmp_path / "exact")
    monkeypatch.setattr("avscene.training.fine_tuning.loop.training_precision", lambda *_: torch.bfloat16)
    trained = step(store, tmp_path)
    assert {tensor.dtype for tensor in trained.tensors.values()} == {torch.float32, torch.int64}
    assert not same(trained.tensors, exact.tensors)


def test_depthwise_networks_are_trained_in_float32_on_a_cpu(store: SegmentStore) -> None:
    rows, _ = train_and_validation_rows(store)
    runtime = Runtime.choose("cpu", "bfloat16")
    depthwise = initial_network(plan("video"), store.labels, store, rows, runtime)
    grouped = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2))
    assert training_precision(depthwise, runtime) == torch.float32
    assert training_precision(grouped, runtime) == torch.bfloat16
    assert training_precision(grouped, CPU) == torch.float32


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(store: SegmentStore, tmp_path: Path) -> None:
    one, two, other = (
        step(store, tmp_path / name, seed=seed).tensors for name, seed in (("one", 7), ("two", 7), ("other", 8))
    )
    assert same(one, two)
    assert not same(one, other)


# --- resuming ---


@pytest.mark.parametrize("step", [pytest.param(2, marks=pytest.mark.slow), 5])
def test_a_training_that_was_killed_resumes_and_ends_with_the_same_bits(
    store: SegmentStore, uninterrupted: tuple[TrainedModel, Path], tmp_path: Path, step: int
) -> None:
    expected, its_state = uninterrupted
    killed = in_process(store.directory, tmp_path, tmp_path / "result", "audio", step)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / STATE).is_file()
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 5, "step_lo')  # as a kill may leave it
    resumed = train(store.directory, tmp_path, "audio")
    assert same(resumed.tensors, expected.tensors)
    assert resumed.history == expected.history
    assert resumed.details == expected.details
    assert (tmp_path / METRICS).read_text() == (its_state / METRICS).read_text()


def test_a_finished_training_is_only_read(store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = step(store, tmp_path)
    monkeypatch.setattr("avscene.training.fine_tuning.loop.training_batches", lambda *_: iter(()))
    again = step(store, tmp_path)
    assert same(again.tensors, first.tensors)
    assert again.history == first.history


def test_the_state_of_another_training_is_refused(
    store: SegmentStore, uninterrupted: tuple[TrainedModel, Path]
) -> None:
    _, state = uninterrupted
    train_rows, valid_rows = train_and_validation_rows(store)
    others = [
        (plan("audio", learning_rate=2e-3), train_rows, valid_rows),
        (plan("audio"), train_rows[1:], valid_rows),
        (plan("audio"), train_rows, valid_rows[1:]),
    ]
    for other, rows, validation in others:
        with pytest.raises(CheckpointError, match=f"{STATE}: belongs to another training"):
            finetune(store, rows, validation, other, store.labels, state, CPU)


@pytest.mark.parametrize("damage", ["cut", "noise", "other tensors"])
def test_a_damaged_state_is_refused(
    store: SegmentStore, uninterrupted: tuple[TrainedModel, Path], tmp_path: Path, damage: str
) -> None:
    content = (uninterrupted[1] / STATE).read_bytes()
    changed = {
        "cut": content[:-100],
        "noise": b"no state",
        "other tensors": content.replace(b"averaged.backbone.bn1.bias", b"averaged.backbone.bn1.bios"),
    }
    (tmp_path / STATE).write_bytes(changed[damage])
    with pytest.raises(CheckpointError, match=f"{STATE}: is damaged"):
        run(store, tmp_path, plan("audio"))


def test_a_full_disk_leaves_the_last_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / STATE
    write_state(path, b"before")

    def full(self: Path, content: bytes) -> int:
        self.open("wb").write(content[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CheckpointError, match=f"{STATE}: cannot be written .*No space left.*run again"):
        write_state(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_a_metrics_log_drops_lines_after_the_last_state(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        for step in (1, 2, 3):
            log.write({"step": step, "step_loss": step / 2})
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 4, "st')
    with MetricsLog(tmp_path, 2) as log:
        log.write({"step": 3, "step_loss": 9.0})
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert lines == [{"step": 1, "step_loss": 0.5}, {"step": 2, "step_loss": 1.0}, {"step": 3, "step_loss": 9.0}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_metrics_log_on_a_full_disk_raises(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        log._file = Path("/dev/full").open("a")  # noqa: SIM115
        with pytest.raises(CheckpointError, match=f"{METRICS}: cannot be written .*No space left.*run again"):
            log.write({"step": 1, "step_loss": 1.0})


# --- several processes ---


@pytest.mark.slow
def test_two_processes_get_the_weights_of_one(
    store: SegmentStore, uninterrupted: tuple[TrainedModel, Path], tmp_path: Path
) -> None:
    """Weights agree up to rare roundings of the last bit, running statistics to a relative 1e-5."""
    expected, its_state = uninterrupted
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    finished = in_process(store.directory, tmp_path, tmp_path / "result", "audio", launcher=torchrun)
    assert finished.returncode == 0, finished.stderr
    tensors = load_file(tmp_path / "result")
    assert tensors.keys() == expected.tensors.keys()
    for name, tensor in tensors.items():
        if "running" in name:
            torch.testing.assert_close(tensor, expected.tensors[name], rtol=1e-5, atol=1e-6, msg=name)
        else:
            torch.testing.assert_close(tensor, expected.tensors[name], rtol=1e-6, atol=1e-7, msg=name)
    history = json.loads((tmp_path / "result.json").read_text())
    for ours, theirs in zip(history, expected.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    assert len((tmp_path / METRICS).read_text().splitlines()) == len((its_state / METRICS).read_text().splitlines())


def test_more_processes_than_micro_batches_are_refused(
    store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "join", lambda _: Processes(0, 3, torch.device("cpu")))
    with pytest.raises(UsageError, match=r"3 processes cannot share steps of 2 micro-batches .*batch 8, micro_batch 4"):
        run(store, tmp_path, plan("audio"))


# --- what is refused ---


def test_rows_without_the_input_are_left_out(tmp_path: Path) -> None:
    store = make_store(tmp_path, without_audio="cave-1", without_video="meadow-4")
    train_rows, valid_rows = train_and_validation_rows(store)
    names = [example.name for example in store.examples]
    with_audio, validation = usable_rows(store, train_rows, valid_rows, plan("audio"))
    assert validation == valid_rows
    assert {names[row] for row in train_rows} - {names[row] for row in with_audio} == {"cave-1.mp4"}
    with_video, validation = usable_rows(store, train_rows, valid_rows, plan("video"))
    assert with_video == train_rows
    assert {names[row] for row in valid_rows} - {names[row] for row in validation} == {"meadow-4.wav"}
    video_only = [row for row in train_rows if names[row] == "cave-1.mp4"]
    with pytest.raises(DataError, match="0 segments with audio to train on; at least 2 needed"):
        usable_rows(store, video_only, valid_rows, plan("audio"))
    audio_only = [row for row in valid_rows if names[row] == "meadow-4.wav"]
    with pytest.raises(DataError, match="0 segments with video to validate on; at least 1 needed"):
        usable_rows(store, train_rows, audio_only, plan("video"))


def test_a_group_on_both_sides_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    rows, valid = train_and_validation_rows(store)
    with pytest.raises(
        DataError, match=f"group 'cave-{RECORDINGS}' is in both the training rows of .* and the validation rows of"
    ):
        finetune(store, [*rows, valid[0]], valid[1:], plan("audio"), store.labels, tmp_path, CPU)


def test_audio_at_another_sample_rate_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has audio at 16000 Hz and small needs 48000 Hz"):
        run(store, tmp_path, NetworkPlan(name="small", input="audio", backbone="tf_efficientnet_lite0"))


def test_a_loss_that_is_not_finite_stops_the_training(store: SegmentStore, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"small: the loss is not a finite number in epoch \d+ \(step \d+\).*below 1e\+"
    ):
        run(store, tmp_path, plan("video", learning_rate=1e30, warm_up=0.0))


def test_absent_weights_stop_the_training(store: SegmentStore, tmp_path: Path) -> None:
    offline = Runtime.choose("cpu", "float32", offline=True)
    with pytest.raises(WeightsError, match=r"timm/resnest50d.in1k"):
        run(store, tmp_path, plan("video", backbone="resnest50d.in1k"), offline)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"batch": 10, "micro_batch": 4}, "not a multiple"),
        ({"input": "video", "image_size": (32, 48)}, "not square"),
        ({"learning_rate": 0}, "greater than 0"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"ema_decay": 1.0}, "less than 1"),
        ({"frames": {"rand_augment": 31}}, "less than or equal to 30"),
        ({"lerning_rate": 1}, "Extra inputs"),
    ],
)
def test_invalid_plans_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        plan(**{"kind": "audio", **changes})


def test_the_classifier_learns_faster_and_scales_do_not_decay(store: SegmentStore) -> None:
    wanted = plan("audio", head_factor=7.0, weight_decay=0.2)
    network = initial_network(wanted, store.labels, store, train_and_validation_rows(store)[0], CPU)
    groups = {
        id(parameter): (group["factor"], group["weight_decay"])
        for group in optimiser_for(wanted, network).param_groups
        for parameter in group["params"]
    }
    found = {name: groups[id(parameter)] for name, parameter in network.named_parameters()}
    assert found["backbone.classifier.weight"] == (7.0, 0.2)
    assert found["backbone.classifier.bias"] == (7.0, 0.0)
    assert found["backbone.conv_stem.weight"] == (1.0, 0.2)
    assert found["backbone.bn1.weight"] == (1.0, 0.0)
