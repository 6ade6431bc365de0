"""Ray clusters of several nodes, as processes on this machine, and tasks for them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avscene.errors import UsageError

NODE = {"object_store_memory": 100 * 2**20}


@contextmanager
def ray_cluster(*cores: int) -> Iterator[Any]:
    """Start a head without processors and a node for each number of cores; its `address` is HOST:PORT."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **NODE})
    try:
        for number in cores:
            cluster.add_node(num_cpus=number, **NODE)
        yield cluster
    finally:
        cluster.shutdown()


@dataclass(frozen=True)
class Doubling:
    """A task that doubles numbers; with `trouble` it fails as the name says when it meets the number 13."""

    trouble: str = ""
    folder: Path | None = None  # where the first failure leaves a file, so that there is only one
    seconds: float = 0.0

    def __call__(self) -> "Doubling":
        if self.trouble == "refuse":
            raise UsageError("this node has no scale")
        return self

    def run(self, items: Sequence[int], report: Callable[[], None], stop: threading.Event) -> list[int]:
        doubled = []
        for item in items:
            if stop.is_set():
                break
            time.sleep(self.seconds)
            if item == 13 and self._is_first():
                self._fail()
            doubled.append(2 * item)
            report()
        return doubled

    def _is_first(self) -> bool:
        if self.folder is None:
            return True
        try:
            (self.folder / "failed").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _fail(self) -> None:
        match self.trouble:
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(1000)
            case "bug":
                raise ZeroDivisionError("a bug")
            case "error":
                raise UsageError("the disk is full")
