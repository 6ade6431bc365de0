"""Test that a run gets nodes from Ray's autoscaler, which starts processes on this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avscene.cluster import Finished, Scheduler, connect
from tests.support.clusters import Doubling

pytest.importorskip("ray")

IDLE_MINUTES = 0.25
# What Ray's autoscaler requires in a configuration but does not use for nodes that are processes.
UNUSED = {
    "auth": {},
    "file_mounts": {},
    "cluster_synced_files": [],
    "file_mounts_sync_continuously": False,
    "rsync_exclude": [],
    "rsync_filter": [],
    "initialization_commands": [],
    "setup_commands": [],
    "head_setup_commands": [],
    "worker_setup_commands": [],
    "head_start_ray_commands": [],
    "worker_start_ray_commands": [],
}


@contextmanager
def autoscaled_cluster(directory: Path) -> Iterator[str]:
    """Start a head without processors whose autoscaler starts at most two nodes of one; return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = {
        "cluster_name": "demand",
        "max_workers": 2,
        "provider": {
            "type": "fake_multinode",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "gcs_address": address,
        },
        "available_node_types": {
            "small": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
            "head": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        },
        "head_node_type": "head",
        "upscaling_speed": 4.0,
        "idle_timeout_minutes": IDLE_MINUTES,
        **UNUSED,
    }
    file = directory / "cluster.json"
    file.write_text(json.dumps(config))
    options = ["--num-cpus=0", "--include-dashboard=false", "--object-store-memory=104857600", "--block"]
    host, port = address.split(":")
    head = subprocess.Popen(
        [
            *(str(shutil.which("ray")), "start", "--head", f"--node-ip-address={host}", f"--port={port}"),
            *(f"--autoscaling-config={file}", *options),
        ],
        env={
            **os.environ,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield address
    finally:
        head.send_signal(signal.SIGTERM)  # it ends the processes that it started, and these theirs
        try:
            head.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
            head.wait()


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect once the head answers."""
    ends = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(address.split(":")[1]))) == 0:
                break
        assert time.monotonic() < ends
        time.sleep(0.2)
    time.sleep(3)  # its other processes start
    with connect(address):
        yield


@pytest.mark.slow
def test_a_cluster_without_nodes_grows_while_there_is_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # of the cluster and of this process
    with autoscaled_cluster(tmp_path) as address, connected(address):
        finished: list[int] = []
        most = 0
        for result in Scheduler(Doubling(seconds=0.5), range(160), 60.0, threading.Event()).results():
            assert isinstance(result, Finished)
            finished += result.items
            most = max(most, n_workers(ray.nodes()))
        assert sorted(finished) == list(range(160))
        assert most == 2
        ends = time.monotonic() + 120
        while n_workers(ray.nodes()):  # nothing is asked for any more
            assert time.monotonic() < ends
            time.sleep(0.5)


def n_workers(nodes: list[dict[str, object]]) -> int:
    """Return the number of nodes with processors."""
    return sum(bool(node["Alive"]) and "CPU" in str(node["Resources"]) for node in nodes)
