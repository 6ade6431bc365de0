"""Test the count of usable cores: affinity and quotas of control groups in both versions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avscene import cores
from avscene.media.workers import decoder_threads, default_workers


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of control groups without any, for a process that may run on 16 cores."""
    monkeypatch.setattr(cores, "MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(cores, "CONTROL_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "affinity_cores", lambda: 16)
    return tmp_path


def write(folder: Path, membership: str, files: dict[str, str]) -> None:
    (folder / "membership").write_text(membership)
    for name, content in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


# As in the kernel's documentation of control groups: cgroup-v1 (sched-bwc) and cgroup-v2 (cpu.max).
@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, 16),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n"}, 3),
        ("0::/of/the/host\n", {"cpu.max": "400000 100000\n"}, 4),
        (
            "4:cpu,cpuacct:/box\n0::/\n",
            {"cpu/box/cpu.cfs_quota_us": "250000", "cpu/box/cpu.cfs_period_us": "100000"},
            3,
        ),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ("1:memory:/\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 16),
        ("0::/\n", {"cpu.max": "damaged"}, 16),
        ("damaged", {}, 16),
    ],
)
def test_a_quota_limits_the_cores(groups: Path, membership: str, files: dict[str, str], expected: int) -> None:
    write(groups, membership, files)
    assert cores.usable_cores() == expected


def test_without_control_groups_the_affinity_counts(groups: Path) -> None:
    assert not (groups / "membership").exists()
    assert cores.usable_cores() == 16


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs the affinity of Linux")
def test_the_affinity_limits_the_cores() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from avscene.cores import usable_cores; print(usable_cores())"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("usable", "workers", "threads_of_default", "threads_of_one"),
    [(1, 1, 1, 1), (2, 2, 1, 3), (8, 8, 1, 9), (32, 8, 5, 33)],
)
def test_workers_and_their_threads_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, usable: int, workers: int, threads_of_default: int, threads_of_one: int
) -> None:
    monkeypatch.setattr("avscene.media.workers.process.usable_cores", lambda: usable)
    assert default_workers() == workers
    assert decoder_threads(workers) == threads_of_default
    assert decoder_threads(1) == threads_of_one
