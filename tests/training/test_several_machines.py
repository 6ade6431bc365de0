"""Test one training on two nodes, which are launchers of their own on this machine: kills, hangs and resumption."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from avscene.datasets.store.reader import SegmentStore
from avscene.errors import ProcessError, UsageError
from avscene.models.device import Runtime
from avscene.training import processes
from avscene.training.fine_tuning.metrics_log import METRICS
from avscene.training.fine_tuning.state import STATE
from avscene.training.processes import TIMEOUT, Processes
from avscene.training.train import train_system
from tests.support.finetune_process import train
from tests.support.processes import ROOT, wait_until
from tests.support.small_store import make_store

STEPS = 6  # of the small training
NO_SHARED_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"  # without it, no new node can join after a restart
LOST = "another process of this training has ended or did not answer in time"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SegmentStore:
    return make_store(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def undisturbed(store: SegmentStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of the small training in one process."""
    return train(store.directory, tmp_path_factory.mktemp("undisturbed"), "audio").tensors


class Nodes:
    """Launchers of the nodes of a small training whose state and result are in one directory."""

    def __init__(self, store: SegmentStore, directory: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._store = store
        self.directory = directory
        self.result = directory / "result"
        self._number = 0
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str, step_seconds: float = 0.0, **environment: str) -> subprocess.Popen[bytes]:
        """Start one node, which waits for the other."""
        command = [sys.executable, "-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint"]
        command += [f"127.0.0.1:{self._port}", *options, "-m", "tests.support.finetune_process"]
        command += [str(self._store.directory), str(self.directory), str(self.result), "audio"]
        self._number += 1
        with self.messages(self._number).open("wb") as messages:
            variables = {"STEP_SECONDS": str(step_seconds), "OMP_NUM_THREADS": "1", NO_SHARED_STORE: "1", **environment}
            launcher = subprocess.Popen(command, stderr=messages, cwd=ROOT, env=os.environ | variables)
        self.running.append(launcher)
        if self._number == 1:  # the others must find its rendezvous, which ends with it
            wait_until(self._is_listening, launcher)
        return launcher

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def messages(self, number: int) -> Path:
        """Return the file with the messages of the node that was started as this one, from 1."""
        return self.directory / f"messages-{number}.txt"

    def steps(self) -> int:
        """Return how many steps are done."""
        path = self.directory / METRICS
        lines = path.read_text().splitlines() if path.is_file() else []
        return sum("step_loss" in json.loads(line) for line in lines)


@pytest.fixture
def nodes(store: SegmentStore, tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(store, tmp_path)
    yield made
    for launcher in made.running:
        kill([launcher.pid, *workers(launcher)])
        launcher.wait()


def workers(launcher: "subprocess.Popen[bytes]") -> list[int]:
    """Return the training processes of a launcher."""
    found = Path(f"/proc/{launcher.pid}/task").glob("*/children")
    return [int(pid) for path in found for pid in path.read_text().split()]


def kill(pids: Sequence[int], number: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def assert_same_result(result: Path, expected: dict[str, torch.Tensor]) -> None:
    """Weights agree up to rare roundings of the last bit, running statistics to a relative 1e-5."""
    tensors = load_file(result)
    assert tensors.keys() == expected.keys()
    for name, tensor in tensors.items():
        tolerances = {"rtol": 1e-5, "atol": 1e-6} if "running" in name else {"rtol": 1e-6, "atol": 1e-7}
        torch.testing.assert_close(tensor, expected[name], msg=name, **tolerances)


@pytest.mark.slow
def test_a_node_that_is_killed_and_started_again_joins_and_the_training_continues(
    nodes: Nodes, undisturbed: dict[str, torch.Tensor]
) -> None:
    options = ("--nnodes", "2", "--max-restarts", "2")
    first, second = (nodes.start(*options, step_seconds=0.5) for _ in range(2))
    wait_until(lambda: nodes.steps() >= 3, first)
    kill([second.pid, *workers(second)])
    assert nodes.steps() < STEPS
    nodes.start(*options)
    assert first.wait(200) == 0, nodes.messages(1).read_text()
    assert nodes.running[-1].wait(60) == 0, nodes.messages(3).read_text()
    assert LOST in nodes.messages(1).read_text()
    assert_same_result(nodes.result, undisturbed)
    lines = [json.loads(line) for line in (nodes.directory / METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines if "step_loss" in line] == list(range(1, STEPS + 1))  # written once


@pytest.mark.slow
def test_without_restarts_the_survivor_ends_with_a_message_and_the_same_commands_continue(
    nodes: Nodes, undisturbed: dict[str, torch.Tensor]
) -> None:
    options = ("--nnodes", "2", "--max-restarts", "0")
    first, second = (nodes.start(*options, step_seconds=0.5) for _ in range(2))
    wait_until(lambda: nodes.steps() >= 3, first)
    kill([second.pid, *workers(second)])
    assert first.wait(100) != 0
    assert LOST in nodes.messages(1).read_text()
    assert (nodes.directory / STATE).is_file()
    assert not nodes.result.exists()
    again = [nodes.start(*options) for _ in range(2)]
    assert [launcher.wait(100) for launcher in again] == [0, 0]
    assert_same_result(nodes.result, undisturbed)


@pytest.mark.slow
def test_a_process_that_hangs_ends_the_training_after_the_time_out(nodes: Nodes) -> None:
    launcher = nodes.start("--nnodes", "1", "--nproc-per-node", "2", step_seconds=0.5, **{TIMEOUT: "4"})
    wait_until(lambda: nodes.steps() >= 2, launcher)
    hanging = workers(launcher)[-1]
    os.kill(hanging, signal.SIGSTOP)
    began = time.monotonic()
    assert launcher.wait(100) != 0
    assert time.monotonic() - began < 90  # the time-out, and the 30 s that the launcher waits before it kills
    assert LOST in nodes.messages(1).read_text()
    assert (nodes.directory / STATE).is_file()


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_out_that_is_no_number_of_seconds_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(TIMEOUT, text)
    with pytest.raises(UsageError, match=f"{TIMEOUT}={text}: not a number of seconds"):
        Processes.join(Runtime.choose("cpu", "float32"))


def test_a_process_that_does_not_come_is_an_error_that_states_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), TIMEOUT: "1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ProcessError, match=f"{LOST}.*Run the same command again on all machines"):
        Processes.join(Runtime.choose("cpu", "float32"))


def test_alone_no_group_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_patient_group", lambda: pytest.fail("made a group"))
    alone = Processes.join(Runtime.choose("cpu", "float32"))
    assert (alone.count, alone.is_first, alone.broadcast(b"x")) == (1, True, b"x")


def test_heads_are_not_trained_by_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    runtime = Runtime.choose("cpu", "float32")
    with pytest.raises(UsageError, match="system fast is trained by one process"):
        train_system(
            "fast",
            tmp_path,
            tmp_path / "out",
            holdout=None,
            hop=1.0,
            runtime=runtime,
            progress=lambda _: lambda *_: None,
        )
