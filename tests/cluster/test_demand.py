"""Test that a run gets nodes from Ray's autoscaler, which starts processes on this machine."""

import threading
import time

import pytest

from avscene.cluster import Finished, Scheduler, connect
from tests.support.clusters import Doubling

pytest.importorskip("ray")


@pytest.mark.slow
def test_a_cluster_without_nodes_grows_while_there_is_work() -> None:
    import ray
    from ray.cluster_utils import AutoscalingCluster

    node = {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2}
    cluster = AutoscalingCluster({"CPU": 0}, {"small": node}, idle_timeout_minutes=0.05, upscaling_speed=4.0)
    cluster.start()
    try:
        with connect("auto"):
            finished: list[int] = []
            most = 0
            for result in Scheduler(Doubling(seconds=0.5), range(120), 60.0, threading.Event()).results():
                assert isinstance(result, Finished)
                finished += result.items
                most = max(most, n_workers(ray.nodes()))
            assert sorted(finished) == list(range(120))
            assert most == 2
            ends = time.monotonic() + 60
            while n_workers(ray.nodes()):  # nothing is asked for any more
                assert time.monotonic() < ends
                time.sleep(0.5)
    finally:
        cluster.shutdown()


def n_workers(nodes: list[dict[str, object]]) -> int:
    """Return the number of nodes with processors."""
    return sum(bool(node["Alive"]) and "CPU" in str(node["Resources"]) for node in nodes)
