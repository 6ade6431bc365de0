"""Test the training on a Ray cluster: a process that is killed, and the result of a training in one process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from avscene.models.device import Runtime
from avscene.training.train import train_system
from tests.support.processes import ROOT, wait_until
from tests.support.small_store import make_store

SYSTEM = "full-video"
EPOCHS = 4  # of its training, of one step each on the small store; then as many on all rows


def train_processes() -> list[int]:
    """Return the processes of trainings on Ray that this user runs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::RayTrainWorker"):
                found.append(int(path.parent.name))
        except OSError:  # it has ended
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find Ray's processes")
def test_a_training_on_ray_survives_a_killed_process_and_equals_one_in_one_process(tmp_path: Path) -> None:
    pytest.importorskip("ray.train", reason="Ray Train is not installed")
    store = make_store(tmp_path).directory
    alone, output = tmp_path / "alone", tmp_path / "on-ray"
    before = set(train_processes())
    command = [sys.executable, "examples/train_on_ray.py", SYSTEM, str(store), str(output), "--holdout", "fold=4"]
    command += ["--address", "local"]
    log = output.with_name("on-ray.work") / "training" / SYSTEM / "metrics.jsonl"
    with (tmp_path / "messages.txt").open("wb") as messages:
        ray = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT / "src")}
        launcher = subprocess.Popen(command, stdout=messages, stderr=messages, cwd=ROOT, env=os.environ | ray)
    try:
        wait_until(lambda: log.is_file() and "valid_log_loss" in log.read_text(), launcher)
        victim = max(set(train_processes()) - before)
        os.kill(victim, signal.SIGKILL)
        assert not output.exists()
        assert launcher.wait(200) == 0, (tmp_path / "messages.txt").read_text()
    finally:
        launcher.terminate()
        launcher.wait()

    runtime = Runtime.choose("cpu", "float32")
    settings = {"hop": 1.0, "runtime": runtime, "progress": lambda _: lambda *_: None}
    train_system(SYSTEM, store, alone, holdout="fold=4", **settings)
    expected, found = (load_file(folder / "model.safetensors") for folder in (alone, output))
    assert found.keys() == expected.keys()
    # AdamW divides gradients by their size, so those that are nearly 0 turn roundings into steps.
    apart = sum((tensor.double() - expected[name].double()).square().sum() for name, tensor in found.items())
    size = sum(tensor.double().square().sum() for tensor in expected.values())
    assert (apart / size).sqrt() < 1e-5
    ours, theirs = (json.loads((folder / "config.json").read_text()) for folder in (output, alone))
    ours_valid, theirs_valid = (config["metrics"]["validation"]["log_loss"] for config in (ours, theirs))
    assert ours_valid == pytest.approx(theirs_valid, rel=1e-3)
    epochs = list(zip(ours["training"]["history"], theirs["training"]["history"], strict=True))
    assert [one["epoch"] for one, _ in epochs] == list(range(1, EPOCHS + 1))
    for one, other in epochs:
        assert one == pytest.approx(other, rel=1e-3)
