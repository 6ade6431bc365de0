"""Test that a run over a real archive is complete and the same, with nodes killed at random moments."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.clusters import NODE, ray_cluster

pytest.importorskip("ray")

SHARED = Path(__file__).parents[3] / "shared"
N_RUNS = 10

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not (SHARED / "everyday").is_dir(), reason="needs the data set ../shared/everyday"),
]


def inputs() -> list[str]:
    """All files of the media collection, whole and broken, and a fifth of the data set."""
    media = sorted(str(path) for path in (SHARED / "media").rglob("*") if path.is_file() and path.suffix != ".json")
    return media + sorted(str(path) for path in (SHARED / "everyday").rglob("*.mp4"))[::5]


def arguments(listed: Path, output: Path, *options: str) -> list[str]:
    system = ("--system", "conse", "--device", "cpu")
    return [sys.executable, "-m", "avscene", "classify", str(listed), *system, "--output", str(output), *options]


def test_nodes_killed_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(inputs()))
    alone = tmp_path / "alone.jsonl"
    subprocess.run(arguments(listed, alone, "--format", "jsonl"), check=False)
    rng = random.Random(0)
    with ray_cluster(1) as cluster:
        seconds = 0.0
        for number in range(N_RUNS + 1):  # the first without a loss
            second = cluster.add_node(num_cpus=1, **NODE)
            output = tmp_path / f"{number}.jsonl"
            begun = time.monotonic()
            with subprocess.Popen(arguments(listed, output, "--format", "jsonl", "--ray", cluster.address)) as process:
                if number:
                    time.sleep(rng.uniform(0, seconds))
                    cluster.remove_node(second, allow_graceful=False)
                process.wait()
            seconds = seconds or time.monotonic() - begun
            if not number:
                cluster.remove_node(second)
            assert process.returncode == 3
            assert output.read_bytes() == alone.read_bytes()
            assert not list(tmp_path.glob(f"{number}.jsonl.ledger/*/part-*"))
