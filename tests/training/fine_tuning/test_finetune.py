"""Fine-tuning: it learns, it goes on exactly after a kill, several processes do what one does, and no row leaks."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import nn

from avscene.datasets.store.reader import SegmentStore
from avscene.datasets.store.rows import from_jpeg
from avscene.errors import CheckpointError, DataError, UsageError, WeightsError
from avscene.evaluation.metrics import accuracy, log_loss
from avscene.models.device import Runtime
from avscene.training.fine_tuning import augment, batches
from avscene.training.fine_tuning import readers as reading
from avscene.training.fine_tuning.batch_norms import estimate_statistics
from avscene.training.fine_tuning.batches import CleanBatches, TrainingBatch, training_batches
from avscene.training.fine_tuning.finetune import finetune
from avscene.training.fine_tuning.gradients import GradientSum
from avscene.training.fine_tuning.metrics_log import METRICS, MetricsLog
from avscene.training.fine_tuning.networks import (
    frames_of,
    initial_network,
    optimiser_for,
    reader_for,
    training_precision,
)
from avscene.training.fine_tuning.plan import NetworkPlan
from avscene.training.fine_tuning.processes import Processes
from avscene.training.fine_tuning.readers import AudioReader, FrameReader, band_statistics
from avscene.training.fine_tuning.schedule import MicroBatch, RandomStream, Schedule, random_for
from avscene.training.fine_tuning.state import STATE, write_state
from avscene.training.result import TrainedModel
from avscene.training.rows import adjacent_pairs, usable_rows
from tests.support.finetune_process import train
from tests.support.small_store import LOG_MEL, SECONDS, TAKES, make_store, plan, train_and_validation_rows

CPU = Runtime.choose("cpu", "float32")
ALONE = Processes(0, 1, torch.device("cpu"))
PLAIN: dict[str, Any] = {
    "mixup": 0.0,
    "audio": {"random_crop": False, "time_shift": 0.0, "frequency_masks": 0, "time_masks": 0},
    "frames": {"random_frame": False, "crop_scale": (1.0, 1.0), "flip": 0.0, "rand_augment": 0},
}
KINDS = ("audio", "video")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    return make_store(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def undisturbed(store: SegmentStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, Path]:
    """The small audio training, run in one go, and the directory of its state."""
    state = tmp_path_factory.mktemp("undisturbed")
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
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


# --- learning ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_learns_a_small_set(store: SegmentStore, tmp_path: Path, kind: str) -> None:
    trained = run(store, tmp_path, plan(kind, image_size=(48, 48), batch=9, micro_batch=9, epochs=5, **PLAIN))
    assert trained.history[-1]["train_loss"] < 0.4 * trained.history[0]["train_loss"]
    model = trained.part.build(store.labels, trained.tensors, CPU)
    rows, valid = train_and_validation_rows(store)
    truth = store.truth(store.labels.names)
    learnt = model.score(store.segments(rows)).probabilities
    assert accuracy(truth[rows], learnt) > 0.9
    assert log_loss(truth[rows], learnt) < 0.5
    # What was validated is what the model answers afterwards, on the plain segments.
    judged = model.score(store.segments(valid)).probabilities
    best = min(trained.history, key=lambda row: row["valid_log_loss"])
    assert log_loss(truth[valid], judged) == pytest.approx(best["valid_log_loss"], abs=1e-5)
    assert accuracy(truth[valid], judged) == best["valid_accuracy"]
    assert trained.details["best_epoch"] == best["epoch"]
    assert trained.details["valid_log_loss"] == best["valid_log_loss"] < math.log(3)
    assert trained.details["parameters"] == pytest.approx(3.37e6, rel=0.01)


def test_the_history_tells_of_every_epoch(undisturbed: tuple[TrainedModel, Path]) -> None:
    trained, state = undisturbed
    assert [row["epoch"] for row in trained.history] == [1, 2]
    assert [row["step"] for row in trained.history] == [3, 6]
    lines = [json.loads(line) for line in (state / METRICS).read_text().splitlines()]
    assert [line for line in lines if "epoch" in line] == trained.history
    assert [line["step"] for line in lines if "step_loss" in line] == [1, 2, 3, 4, 5, 6]
    first = [line["step_loss"] for line in lines[:3]]
    assert trained.history[0]["train_loss"] == pytest.approx(np.mean(first))
    assert first[0] == pytest.approx(math.log(3), abs=1e-6)  # a classifier of zeros cannot tell
    assert any((state / "tensorboard").glob("events.*"))


def test_bfloat16_products_train_float32_weights(
    store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = step(store, tmp_path / "exact")
    monkeypatch.setattr("avscene.training.fine_tuning.loop.training_precision", lambda *_: torch.bfloat16)
    trained = step(store, tmp_path)
    assert {tensor.dtype for tensor in trained.tensors.values()} == {torch.float32, torch.int64}
    assert not same(trained.tensors, exact.tensors)


def test_depthwise_networks_are_trained_in_float32_on_a_processor(store: SegmentStore) -> None:
    rows, _ = train_and_validation_rows(store)
    runtime = Runtime.choose("cpu", "bfloat16")
    depthwise = initial_network(plan("video"), store.labels, store, rows, runtime)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2))
    assert training_precision(depthwise, runtime) == torch.float32
    assert training_precision(plain, runtime) == torch.bfloat16
    assert training_precision(plain, CPU) == torch.float32


def test_the_same_seed_gives_the_same_weights_and_another_one_others(store: SegmentStore, tmp_path: Path) -> None:
    one, two, other = (
        step(store, tmp_path / name, seed=seed).tensors for name, seed in (("one", 7), ("two", 7), ("other", 8))
    )
    assert same(one, two)
    assert not same(one, other)


# --- going on ---


def test_a_training_that_was_killed_ends_with_the_same_bits(
    store: SegmentStore, undisturbed: tuple[TrainedModel, Path], tmp_path: Path
) -> None:
    expected, untouched = undisturbed
    step = int(np.random.default_rng().integers(2, 6))
    killed = in_process(store.directory, tmp_path, tmp_path / "result", "audio", step)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / STATE).is_file()
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 5, "step_lo')  # what a kill may leave
    resumed = train(store.directory, tmp_path, "audio")
    assert same(resumed.tensors, expected.tensors), f"killed after step {step}"
    assert resumed.history == expected.history
    assert resumed.details == expected.details
    assert (tmp_path / METRICS).read_text() == (untouched / METRICS).read_text()


def test_a_finished_training_is_only_read(store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = step(store, tmp_path)
    monkeypatch.setattr("avscene.training.fine_tuning.loop.training_batches", lambda *_: iter(()))
    again = step(store, tmp_path)
    assert same(again.tensors, first.tensors)
    assert again.history == first.history


def test_the_state_of_another_training_is_refused(store: SegmentStore, undisturbed: tuple[TrainedModel, Path]) -> None:
    _, state = undisturbed
    train_rows, valid_rows = train_and_validation_rows(store)
    others = [
        (plan("audio", learning_rate=2e-3), train_rows, valid_rows),
        (plan("audio"), train_rows[1:], valid_rows),
        (plan("audio"), train_rows, valid_rows[1:]),
    ]
    for other, rows, judged in others:
        with pytest.raises(CheckpointError, match=f"{STATE}: belongs to another training"):
            finetune(store, rows, judged, other, store.labels, state, CPU)


@pytest.mark.parametrize("damage", ["cut", "noise", "other tensors"])
def test_a_damaged_state_is_refused(
    store: SegmentStore, undisturbed: tuple[TrainedModel, Path], tmp_path: Path, damage: str
) -> None:
    content = (undisturbed[1] / STATE).read_bytes()
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


def test_a_journal_takes_back_what_was_not_saved(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as journal:
        for step in (1, 2, 3):
            journal.write({"step": step, "step_loss": step / 2})
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 4, "st')
    with MetricsLog(tmp_path, 2) as journal:
        journal.write({"step": 3, "step_loss": 9.0})
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert lines == [{"step": 1, "step_loss": 0.5}, {"step": 2, "step_loss": 1.0}, {"step": 3, "step_loss": 9.0}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_journal_on_a_full_disk_says_so(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as journal:
        journal._file = Path("/dev/full").open("a")  # noqa: SIM115
        with pytest.raises(CheckpointError, match=f"{METRICS}: cannot be written .*No space left.*run again"):
            journal.write({"step": 1, "step_loss": 1.0})


# --- several processes ---


@pytest.mark.slow
def test_two_processes_come_to_the_weights_of_one(
    store: SegmentStore, undisturbed: tuple[TrainedModel, Path], tmp_path: Path
) -> None:
    """Weights to the bit, but for a rounding in hundreds of millions; running statistics to 1e-5 of themselves."""
    expected, untouched = undisturbed
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
    assert len((tmp_path / METRICS).read_text().splitlines()) == len((untouched / METRICS).read_text().splitlines())


def test_more_processes_than_micro_batches_are_refused(
    store: SegmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "join", lambda _: Processes(0, 3, torch.device("cpu")))
    with pytest.raises(UsageError, match=r"3 processes cannot share steps of 2 micro-batches .*batch 8, micro_batch 4"):
        run(store, tmp_path, plan("audio"))


@given(st.integers(0, 50), st.integers(1, 9))
def test_shares_are_all_items_once_in_order(n_items: int, n_ranks: int) -> None:
    shares = [Processes(rank, n_ranks, torch.device("cpu")).shard(range(n_items)) for rank in range(n_ranks)]
    assert [item for part in shares for item in part] == list(range(n_items))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_gradients_of_micro_batches_are_those_of_the_batch() -> None:
    torch.manual_seed(0)
    layer, rows = nn.Linear(5, 3), torch.randn(12, 5)
    total = GradientSum(layer.parameters())
    for _ in range(2):  # the second step must know nothing of the first
        loss = 0.0
        for part in rows.split(4):
            total.add(layer(part).square().sum())
        loss = total.finish(ALONE, len(rows))
        found = [parameter.grad for parameter in layer.parameters()]
        layer.zero_grad()
        expected = layer(rows).square().sum() / len(rows)
        expected.backward()
        assert loss == pytest.approx(expected.item(), rel=1e-6)
        for ours, parameter in zip(found, layer.parameters(), strict=True):
            torch.testing.assert_close(ours, parameter.grad)
        layer.zero_grad()


class Joined:
    """Two processes as threads: what one adds up waits for the other."""

    def __init__(self) -> None:
        self._meeting, self._held = Barrier(2), {}

    def of(self, rank: int) -> Processes:
        def all_reduce(_: Processes, tensor: torch.Tensor) -> None:
            self._held[rank] = tensor.clone()
            self._meeting.wait()
            tensor.copy_(self._held[0] + self._held[1])

        return type("One", (Processes,), {"all_reduce": all_reduce})(rank, 2, torch.device("cpu"))


def norms(momentum: float = 0.3) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=momentum), nn.ReLU(), nn.Dropout(0.9))


def test_batch_norms_are_estimated_as_the_mean_over_batches() -> None:
    network, inputs = norms().train(), [torch.randn(5, 3, 6, 6) + k for k in range(4)]
    maps = [network[0](batch).detach() for batch in inputs]
    estimate_statistics(network, inputs, ALONE)
    expected = torch.stack([one.mean((0, 2, 3)) for one in maps]).mean(0)
    torch.testing.assert_close(network[1].running_mean, expected)
    expected = torch.stack([one.var((0, 2, 3)) for one in maps]).mean(0)
    torch.testing.assert_close(network[1].running_var, expected)
    assert network[1].momentum == 0.3
    assert not any(module.training for module in network.modules())


def test_two_processes_estimate_batch_norms_as_one() -> None:
    inputs, joined = [torch.randn(5, 3, 6, 6) + k for k in range(5)], Joined()
    networks = [norms(), norms(), norms()]
    with ThreadPoolExecutor() as pool:
        futures = [
            pool.submit(estimate_statistics, networks[rank], joined.of(rank).shard(inputs), joined.of(rank))
            for rank in (0, 1)
        ]
        for future in futures:
            future.result(timeout=20)
    estimate_statistics(networks[2], inputs, ALONE)
    for network in networks[:2]:
        for ours, theirs in zip(network[1].buffers(), networks[2][1].buffers(), strict=True):
            torch.testing.assert_close(ours, theirs)


# --- what is drawn when ---

plans = st.builds(
    lambda micro, count, epochs, warm_up, seed: plan(
        "audio", batch=micro * count, micro_batch=micro, epochs=epochs, warm_up=warm_up, seed=seed
    ),
    st.integers(2, 5),
    st.integers(1, 4),
    st.integers(1, 4),
    st.floats(0, 3),
    st.integers(0, 99),
)
few = settings(max_examples=50, deadline=None)


@few
@given(plans, st.integers(2, 60), st.integers(0, 10**6))
def test_a_schedule_can_be_entered_anywhere(wanted: NetworkPlan, n_rows: int, somewhere: int) -> None:
    rows = list(range(100, 100 + n_rows))
    schedule = Schedule(wanted, rows)
    steps = list(schedule.steps(0))
    assert len(steps) == schedule.n_steps
    assert [step[0].step for step in steps] == list(range(schedule.n_steps))
    first = somewhere % (schedule.n_steps + 1)
    assert list(schedule.steps(first)) == steps[first:]
    for epoch in range(wanted.epochs):
        taken = [row for step in steps for micro in step for row in micro.rows if micro.epoch == epoch]
        assert len(taken) == len(set(taken)) > n_rows - wanted.micro_batch
        assert set(taken) <= set(rows)
    sizes = {len(micro.rows) for step in steps for micro in step}
    assert sizes == {min(wanted.micro_batch, n_rows)}
    assert all(len(step) <= wanted.batch // wanted.micro_batch for step in steps)


@few
@given(plans, st.integers(2, 60))
def test_the_learning_rate_rises_then_falls_and_is_never_nothing(wanted: NetworkPlan, n_rows: int) -> None:
    schedule = Schedule(wanted, range(n_rows))
    rates = [schedule.learning_rate(step) for step in range(schedule.n_steps)]
    assert min(rates) > 0
    assert max(rates) == pytest.approx(wanted.learning_rate)
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert peak <= round(wanted.warm_up * schedule.steps_per_epoch)


def test_every_place_of_a_training_has_random_numbers_of_its_own() -> None:
    places = [
        (draw, seed, *counts) for draw in RandomStream for seed in (0, 1) for counts in ((0,), (0, 0), (0, 1), (1, 0))
    ]
    drawn = {int(random_for(*place).integers(2**63)) for place in places}
    assert len(drawn) == len(places)
    assert random_for(RandomStream.ROW, 1, 2, 3).random() == random_for(RandomStream.ROW, 1, 2, 3).random()


@few
@given(plans, st.integers(2, 60))
def test_batch_norms_are_estimated_on_distinct_training_rows(wanted: NetworkPlan, n_rows: int) -> None:
    rows = range(10, 10 + n_rows)
    parts = Schedule(wanted, rows).statistics_batches()
    assert {len(part) for part in parts} == {min(wanted.micro_batch, n_rows)}
    taken = [row for part in parts for row in part]
    assert len(taken) == len(set(taken)) > n_rows - wanted.micro_batch
    assert set(taken) <= set(rows)


def test_large_sets_estimate_batch_norms_on_a_share() -> None:
    def count(n_rows: int) -> int:
        return sum(map(len, Schedule(plan("audio", batch=32, micro_batch=32), range(n_rows)).statistics_batches()))

    assert [count(n_rows) for n_rows in (100, 1000, 8000)] == [96, 256, 992]


def test_orders_differ_between_epochs_and_seeds() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        schedule = Schedule(plan("audio", seed=seed), range(40))
        return [row for step in schedule.steps(0) for micro in step if micro.epoch == epoch for row in micro.rows]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_sound_and_frames_are_mixed_alike() -> None:
    """Joint audio-visual mixup: plans that agree in seed and batches take the same rows, partners and shares."""
    steps = [list(Schedule(plan(kind), range(40)).steps(0)) for kind in KINDS]
    assert steps[0] == steps[1]
    shapes = {"audio": (4, 8, 9), "video": (4, 3, 5, 5)}
    targets = [
        augment.mixup(torch.randn(shape), torch.eye(4), 0.3, random_for(RandomStream.MIXUP, 7, 1, 5, 0))[1]
        for shape in shapes.values()
    ]
    assert torch.equal(*targets)


# --- reading ---


def readers(store: SegmentStore, **changes: Any) -> dict[str, AudioReader | FrameReader]:
    rows, _ = train_and_validation_rows(store)
    level = torch.full((LOG_MEL.n_mels,), -40.0)
    return {
        "audio": AudioReader(store, rows, plan("audio", **changes), level),
        "video": FrameReader(store, plan("video", **changes), frames_of(plan("video"))),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_depends_on_epoch_and_row_alone(store: SegmentStore, kind: str) -> None:
    reader, again = readers(store)[kind], readers(store)[kind]
    rows = train_and_validation_rows(store)[0][:4]
    inputs = reader.augmented(MicroBatch(1, 5, 0, tuple(rows)))
    assert inputs.shape == {"audio": (4, 32, 65), "video": (4, 3, 32, 32)}[kind]
    assert inputs.dtype == torch.float32
    elsewhere = again.augmented(MicroBatch(1, 9, 1, tuple(rows[::-1])))
    torch.testing.assert_close(elsewhere.flip(0), inputs)
    assert not torch.equal(reader.augmented(MicroBatch(2, 5, 0, tuple(rows))), inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_without_augmentation_inputs_are_the_plain_ones(store: SegmentStore, kind: str) -> None:
    reader = readers(store, **PLAIN)[kind]
    rows = train_and_validation_rows(store)[0][:4]
    varied, plain = reader.augmented(MicroBatch(0, 0, 0, tuple(rows))), reader.clean(rows)
    if kind == "audio":
        torch.testing.assert_close(varied, plain)
    else:  # the plain one is cut out of the middle of 7/8
        torch.testing.assert_close(varied.mean((2, 3)), plain.mean((2, 3)), atol=0.1, rtol=0)


def test_training_reads_no_row_but_its_own(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, valid = train_and_validation_rows(store)
    rows = [row for row in rows if row != 4]  # the middle of a recording: its neighbours must not reach into it
    read: set[int] = set()
    raw = SegmentStore.raw
    monkeypatch.setattr(
        SegmentStore, "raw", lambda self, wanted, *rest: read.update(wanted) or raw(self, wanted, *rest)
    )
    for kind in KINDS:
        wanted = plan(kind, epochs=3)
        network = initial_network(wanted, store.labels, store, rows, CPU)
        reader = reader_for(wanted, network, store, rows)
        for step in Schedule(wanted, rows).steps(0):
            for micro in step:
                reader.augmented(micro)
    assert read == set(rows)
    assert not read & set(valid)


def test_crops_reach_into_neighbours_of_the_same_recording_alone(store: SegmentStore) -> None:
    pairs = adjacent_pairs(store, range(len(store)))
    for row, found in pairs.items():
        place = row % SECONDS
        expected = [(row - 1, row)] * (place > 0) + [(row, row + 1)] * (place < SECONDS - 1)
        assert sorted(found) == expected
    assert len(pairs) == len(store)
    assert 5 not in adjacent_pairs(store, [0, 1, 3, 5])
    assert adjacent_pairs(store, [0, 1, 3, 5]) == {0: ((0, 1),), 1: ((0, 1),)}


def test_every_frame_of_a_second_is_seen(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    unvaried = {**PLAIN["frames"], "random_frame": True}
    reader = readers(store, **{**PLAIN, "frames": unvaried})["video"]
    seen: list[bytes] = []
    monkeypatch.setattr(reading, "from_jpeg", lambda jpeg: seen.append(jpeg) or from_jpeg(jpeg))
    for epoch in range(30):
        reader.augmented(MicroBatch(epoch, 0, 0, (0,)))
    assert set(seen) == set(store.raw([0])[0].frames)
    assert len(set(seen)) == store.spec.frames_per_segment


def test_bands_are_standardised_by_the_training_rows(store: SegmentStore) -> None:
    rows, _ = train_and_validation_rows(store)
    mean, deviation = band_statistics(store, rows, LOG_MEL)
    mels = readers(store)["audio"].clean(rows)
    torch.testing.assert_close(mean, mels.mean((0, 2)), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(deviation, mels.std((0, 2), correction=0), rtol=1e-3, atol=1e-3)


class Failing:
    """A reader that finds the store damaged."""

    def augmented(self, micro: MicroBatch) -> torch.Tensor:
        raise DataError(f"row {micro.rows[0]} is damaged")

    def clean(self, rows: list[int]) -> torch.Tensor:
        raise DataError(f"row {rows[0]} is damaged")


def test_a_row_that_cannot_be_read_is_told_in_one_line() -> None:
    with pytest.raises(DataError, match=r"^row 3 is damaged$"):
        next(training_batches(Failing(), np.zeros(9, int), [MicroBatch(0, 0, 0, (3, 4))]))
    with pytest.raises(DataError, match=r"^row 5 is damaged$"):
        list(CleanBatches(Failing(), [[5]]))


@pytest.mark.slow
def test_processes_that_read_ahead_change_nothing(store: SegmentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, truth = readers(store)["audio"], store.truth(store.labels.names)
    micros = [
        micro
        for step in Schedule(plan("audio", epochs=1), train_and_validation_rows(store)[0]).steps(0)
        for micro in step
    ]

    def read() -> list[TrainingBatch]:
        return list(training_batches(reader, truth, micros))

    alone, plain = read(), list(CleanBatches(reader, [[0, 1], [2]]))
    monkeypatch.setattr(batches, "worker_count", lambda: 2)
    for ours, theirs in zip(read(), alone, strict=True):
        torch.testing.assert_close(ours.inputs, theirs.inputs)
        assert torch.equal(ours.truth, theirs.truth)
    again = CleanBatches(reader, [[0, 1], [2]])
    for _ in range(2):
        torch.testing.assert_close(list(again), plain)
    with pytest.raises(DataError, match=r"^row 3 is damaged$"):
        next(training_batches(Failing(), np.zeros(9, int), [MicroBatch(0, 0, 0, (3, 4))]))


def test_few_processors_read_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, local, expected in ((1, 1, 0), (2, 1, 0), (4, 1, 3), (64, 1, 8), (16, 8, 0), (16, 4, 3)):
        monkeypatch.setattr(os, "cpu_count", lambda count=processors: count)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local))
        assert batches.worker_count() == expected


# --- what is refused ---


def test_rows_without_the_input_are_left_out(tmp_path: Path) -> None:
    store = make_store(tmp_path, silent="cave-1", blind="meadow-4")
    train_rows, valid_rows = train_and_validation_rows(store)
    names = [example.name for example in store.examples]
    heard, judged = usable_rows(store, train_rows, valid_rows, plan("audio"))
    assert judged == valid_rows
    assert {names[row] for row in train_rows} - {names[row] for row in heard} == {"cave-1.mp4"}
    seen, judged = usable_rows(store, train_rows, valid_rows, plan("video"))
    assert seen == train_rows
    assert {names[row] for row in valid_rows} - {names[row] for row in judged} == {"meadow-4.wav"}
    silent = [row for row in train_rows if names[row] == "cave-1.mp4"]
    with pytest.raises(DataError, match="0 segments with audio to train on; 2 are the least"):
        usable_rows(store, silent, valid_rows, plan("audio"))
    blind = [row for row in valid_rows if names[row] == "meadow-4.wav"]
    with pytest.raises(DataError, match="0 segments with video to validate on; 1 are the least"):
        usable_rows(store, train_rows, blind, plan("video"))


def test_a_group_on_both_sides_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    rows, valid = train_and_validation_rows(store)
    with pytest.raises(
        DataError, match=f"group 'cave-{TAKES}' is in both the training rows of .* and the validation rows of"
    ):
        finetune(store, [*rows, valid[0]], valid[1:], plan("audio"), store.labels, tmp_path, CPU)


def test_sound_at_another_rate_is_refused(store: SegmentStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds sound at 16000 Hz and small takes 48000 Hz"):
        run(store, tmp_path, NetworkPlan(name="small", input="audio", backbone="tf_efficientnet_lite0"))


def test_a_loss_that_is_no_number_stops_the_training(store: SegmentStore, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"small: the loss is no longer a number in epoch \d+ \(step \d+\).*below 1e\+"
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
def test_plans_that_cannot_be(changes: dict[str, Any], problem: str) -> None:
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
