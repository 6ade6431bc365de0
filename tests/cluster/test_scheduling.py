"""Test that every item is done once, whatever happens to the actors that do them."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avscene.cluster import Finished, Lost, Scheduler, connect
from avscene.cluster.nodes import places
from avscene.cluster.scheduling import MAX_ITEMS
from avscene.errors import UsageError
from tests.support.clusters import NODE, Doubling, ray_cluster

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster(1, 1) as running, connect(running.address):
        yield running


def done(task: Doubling, items: range, stall: float = 60.0) -> tuple[list[int], list[int], list[int]]:
    """Return the items that were done and their doubles, and the items that were given up."""
    finished: list[int] = []
    doubles: list[int] = []
    lost = []
    for result in Scheduler(task, items, stall, threading.Event()).results():
        if isinstance(result, Finished):
            finished += result.items
            doubles += result.value
        else:
            assert isinstance(result, Lost)
            lost.append(result.item)
    return finished, doubles, lost


@pytest.mark.usefixtures("cluster")
def test_every_item_is_done_once() -> None:
    finished, doubles, lost = done(Doubling(), range(1000))
    assert sorted(finished) == list(range(1000))
    assert doubles == [2 * item for item in finished]
    assert not lost


@pytest.mark.usefixtures("cluster")
def test_short_items_are_done_in_large_units() -> None:
    results = Scheduler(Doubling(), range(3 * MAX_ITEMS), 60, threading.Event()).results()
    assert max(len(result.items) for result in results if isinstance(result, Finished)) == MAX_ITEMS


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("trouble", ["crash", "bug", "hang"])
def test_what_a_lost_actor_had_is_done_again(tmp_path: Path, trouble: str) -> None:
    finished, _, lost = done(Doubling(trouble, tmp_path), range(40), stall=3)
    assert sorted(finished) == list(range(40))
    assert not lost


@pytest.mark.usefixtures("cluster")
def test_an_item_that_ends_every_actor_is_given_up_and_no_other() -> None:
    finished, _, lost = done(Doubling("crash"), range(30))
    assert lost == [13]
    assert sorted(finished) == [item for item in range(30) if item != 13]


@pytest.mark.usefixtures("cluster")
def test_an_error_of_the_task_ends_the_run() -> None:
    with pytest.raises(UsageError, match="the disk is full"):
        done(Doubling("error"), range(30))


@pytest.mark.usefixtures("cluster")
def test_a_task_that_no_node_can_do_is_an_error() -> None:
    with pytest.raises(UsageError, match="no node of the cluster can do this: this node has no scale"):
        done(Doubling("refuse"), range(3))


@pytest.mark.usefixtures("cluster")
def test_no_actor_is_made_for_nothing() -> None:
    begun = time.monotonic()
    assert done(Doubling("refuse"), range(0)) == ([], [], [])
    assert time.monotonic() - begun < 1


@pytest.mark.usefixtures("cluster")
def test_a_stopped_run_begins_nothing_more() -> None:
    stop = threading.Event()
    results = Scheduler(Doubling(seconds=0.2), range(10_000), 60, stop).results()
    n_done = 0
    for result in results:
        assert isinstance(result, Finished)
        n_done += len(result.value)
        stop.set()
    assert 0 < n_done < 100


@pytest.mark.slow
def test_a_node_that_is_killed_and_one_that_joins(cluster: Any) -> None:
    extra = cluster.add_node(num_cpus=1, **NODE)
    finished: list[int] = []
    for number, result in enumerate(Scheduler(Doubling(seconds=0.05), range(300), 60, threading.Event()).results()):
        assert isinstance(result, Finished)
        finished += result.items
        if number == 1:
            cluster.remove_node(extra, allow_graceful=False)
            cluster.add_node(num_cpus=1, **NODE)
    assert sorted(finished) == list(range(300))


def node(cores: float, gpus: float = 0, *, alive: bool = True) -> dict[str, Any]:
    return {"NodeID": f"{cores}-{gpus}", "Alive": alive, "Resources": {"CPU": cores, "GPU": gpus}}


@pytest.mark.parametrize(
    ("cores", "gpus", "expected"),
    [(1, 0, [1]), (2, 0, [2]), (4, 0, [4]), (7, 0, [7]), (16, 0, [4] * 4), (16, 1, [16]), (16, 4, [4] * 4), (0, 1, [])],
)
def test_an_actor_for_each_gpu_or_share_of_the_processors(cores: int, gpus: int, expected: list[int]) -> None:
    found = list(places([node(cores, gpus), node(8, alive=False)]))
    assert [place.cores for place in found] == expected
    assert all(place.gpus == (gpus > 0) for place in found)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nonsense", "ray://", "127.0.0.1:99999"])
def test_a_wrong_address_is_an_error_at_once(address: str) -> None:
    begun = time.monotonic()
    with pytest.raises(UsageError, match="--ray"), connect(address):
        pass
    assert time.monotonic() - begun < 10
