"""Count the processor cores that this process may use."""

import os
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path

MEMBERSHIP, CONTROL_GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return the number of cores that this process may use: by its affinity and by the quotas of its control groups.

    A container with a quota of two cores on a large machine sees all of its cores, but may use the time of two.
    """
    affinity = affinity_cores()
    quotas = [ceil(quota) for quota in _quotas()]
    return max(1, min([affinity, *quotas]))


def threads_for(cores: int) -> int:
    """Return the number of threads of a decoder that fill `cores`: one more, as in FFmpeg, since one often waits."""
    return cores + 1 if cores > 1 else 1


def affinity_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas() -> Iterator[float]:
    """Yield the quotas, in cores, of the control groups of this process and of those above (Linux, versions 1 and 2).

    In a container, the path of its own group may be one of the host, of which only the root is visible.
    """
    try:
        lines = MEMBERSHIP.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = CONTROL_GROUPS / "cpu" if controllers else CONTROL_GROUPS
        group = root / path.strip("/")
        for folder in (group, *group.parents):
            if folder == root.parent:
                break
            with suppress(OSError, ValueError, ZeroDivisionError):
                yield _version_1(folder) if controllers else _version_2(folder)


def _version_1(folder: Path) -> float:
    quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    if quota <= 0:
        raise ValueError("no quota")
    return quota / period


def _version_2(folder: Path) -> float:
    quota, period = (folder / "cpu.max").read_text().split()
    return int(quota) / int(period)  # "max" is no number: no quota
