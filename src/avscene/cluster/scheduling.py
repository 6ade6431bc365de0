"""Give units of work to actors, and give those of lost actors to others.

Ray itself may wait for ever for an actor that hangs or whose node is gone. So each actor is asked for its progress,
every wait has an end, and what is lost is done again.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from avscene.cluster.actor import Actor, Task
from avscene.cluster.connection import import_ray
from avscene.cluster.demand import Demand
from avscene.cluster.nodes import Place, places
from avscene.errors import AvsceneError, UsageError

logger = logging.getLogger(__name__)

FIRST_ITEMS, MAX_ITEMS = 4, 1024  # of a unit; the later ones have as many as take UNIT_SECONDS
UNIT_SECONDS = 30.0  # what is lost with an actor, at most; long enough that handing out units takes no share of time
MAX_LOSSES = 2  # of a unit: then its items are done one by one; of an item: then it is given up
POLL_SECONDS = 5.0  # between two looks at the nodes, and two questions for the progress of an actor
ANSWER_SECONDS = 30.0  # for an answer about the progress
START_SECONDS = 900.0  # for loading what a task needs
NODE_SECONDS = 900.0  # for a first node: a cluster may have to start one
MAX_STARTS = 3  # of actors that end before they are ready, at one place


@dataclass(frozen=True, slots=True)
class Finished:
    """A unit that was done: its items and what the task returned."""

    items: tuple[Any, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class Lost:
    """An item with which MAX_LOSSES actors were lost."""

    item: Any


@dataclass(slots=True)
class _Unit:
    items: tuple[Any, ...]
    losses: int = 0


@dataclass(slots=True)
class _Worker:
    """An actor: `doing` is what the reference `ref` will answer, None while it is idle."""

    place: Place
    handle: Any
    doing: str | None
    ref: Any
    since: float = field(default_factory=time.monotonic)  # of what it does, or of its last progress
    unit: _Unit | None = None
    began: float = 0.0  # of the unit
    question: Any = None  # reference to its progress
    asked: float = 0.0
    n_reports: int = -1


class Scheduler:
    """Does `items` by a task in all actors of the connected cluster.

    Args:
        make_task: makes the task in each actor; pickled.
        items: what is to be done, taken when an actor is free.
        stall: seconds without progress after which an actor is given up.
        stop: once set, no further unit is begun, and those in work end early.
    """

    def __init__(
        self, make_task: Callable[[], Task], items: Iterable[Any], stall: float, stop: threading.Event
    ) -> None:
        self._ray = import_ray()
        self._make_task = make_task
        self._items = iter(items)
        self._stall = stall
        self._stop = stop
        self._taken: tuple[Any, ...] = ()  # of the items, at most one
        self._again: deque[_Unit] = deque()
        self._workers: dict[Place, _Worker] = {}
        self._n_starts: dict[Place, int] = {}
        self._refused: dict[str, str] = {}  # reason by node
        self._seconds_per_item = 0.0
        self._demand = Demand()
        self._looked = float("-inf")
        self._begun = time.monotonic()
        self._is_stopping = False

    def results(self) -> Generator[Finished | Lost, None, None]:
        """Yield what was done, in any order; the actors end with the generator.

        Raises:
            UsageError: no node can do the task.
            AvsceneError: the task raised it.
        """
        try:
            while not self._is_over():
                yield from self._look_at_nodes()
                self._pass_on_stop()
                self._hand_out()
                self._demand.update(self._workers, has_work=not self._stop.is_set() and self._has_more())
                yield from self._wait()
                yield from self._give_up_the_silent()
        finally:
            self._demand.withdraw()
            for worker in self._workers.values():
                self._kill(worker)

    def in_order(self, give_up: Callable[[Any], Any]) -> Generator[Any, None, None]:
        """Yield a value for each item, in their order, of a task that returns a list with one for each of a unit.

        Items are given with their numbers, from 0 on. `give_up` returns the value of a lost item, or raises an error.

        Raises:
            UsageError: no node can do the task.
            AvsceneError: the task raised it.
        """
        waiting: dict[int, Any] = {}
        n_yielded = 0
        with closing(self.results()) as results:
            for result in results:
                if isinstance(result, Finished):
                    waiting |= zip((number for number, _ in result.items), result.value, strict=True)
                else:
                    number, item = result.item
                    waiting[number] = give_up(item)
                while n_yielded in waiting:
                    yield waiting.pop(n_yielded)
                    n_yielded += 1

    def _is_over(self) -> bool:
        """Whether nothing is left to do."""
        if any(worker.unit is not None for worker in self._workers.values()):
            return False
        if self._stop.is_set():
            return True
        return not self._has_more()

    def _has_more(self) -> bool:
        """Whether items wait for an actor; the one that is taken to see that is the first of the next unit."""
        self._taken = self._taken or tuple(islice(self._items, 1))
        return bool(self._again or self._taken)

    def _look_at_nodes(self) -> Generator[Lost, None, None]:
        """Make actors on new nodes, and take back the units of nodes that are gone."""
        now = time.monotonic()
        if now - self._looked < POLL_SECONDS:
            return
        self._looked = now
        found = [place for place in places(self._ray.nodes()) if place.node not in self._refused]
        if not found and not self._workers:
            if self._refused:
                raise UsageError(f"no node of the cluster can do this: {next(iter(self._refused.values()))}")
            if now - self._begun > NODE_SECONDS:
                raise UsageError("the cluster has no node with a processor; see: ray status")
        for place in self._workers.keys() - set(found):
            yield from self._lose(self._workers[place], "its node is gone")
        for place in found:
            if place not in self._workers and self._n_starts.get(place, 0) < MAX_STARTS:
                self._n_starts[place] = self._n_starts.get(place, 0) + 1
                handle = self._ray.remote(Actor).options(**place.options()).remote()
                self._workers[place] = _Worker(place, handle, "ready", handle.ready.remote())
        if found and not self._workers:
            raise UsageError("the cluster's actors end before they are ready; is avscene installed on all nodes?")

    def _hand_out(self) -> None:
        for worker in self._workers.values():
            if worker.doing is None and not self._stop.is_set():
                unit = self._next_unit()
                if unit is None:
                    return
                worker.unit, worker.doing, worker.ref = unit, "run", worker.handle.run.remote(unit.items)
                worker.began = worker.since = time.monotonic()

    def _next_unit(self) -> _Unit | None:
        if self._again:
            return self._again.popleft()
        size = FIRST_ITEMS
        if self._seconds_per_item:
            size = max(1, min(MAX_ITEMS, int(UNIT_SECONDS / self._seconds_per_item)))
        items = self._taken + tuple(islice(self._items, size - len(self._taken)))
        self._taken = ()
        return _Unit(items) if items else None

    def _wait(self) -> Generator[Finished | Lost, None, None]:
        """Wait a moment for answers of actors, and act on those that came."""
        owners = {worker.ref: worker for worker in self._workers.values() if worker.doing is not None}
        owners |= {worker.question: worker for worker in self._workers.values() if worker.question is not None}
        if not owners:
            time.sleep(0.1)
            return
        ready, _ = self._ray.wait(list(owners), num_returns=1, timeout=1.0)
        if ready:  # all that are there: the cost of waiting grows with the number of actors
            ready, _ = self._ray.wait(list(owners), num_returns=len(owners), timeout=0)
        for ref in ready:
            worker = owners[ref]
            if self._workers.get(worker.place) is not worker:  # lost by another answer
                continue
            try:
                value = self._ray.get(ref, timeout=ANSWER_SECONDS)
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, AvsceneError):
                    raise error.cause from error
                yield from self._lose(worker, f"{type(error.cause).__name__}: {error.cause}")
            except self._ray.exceptions.RayError as error:
                yield from self._lose(worker, str(error).partition("\n")[0])
            else:
                yield from self._take(worker, ref, value)

    def _take(self, worker: _Worker, ref: Any, value: Any) -> Generator[Finished, None, None]:
        """Act on an answer of an actor."""
        now = time.monotonic()
        if ref == worker.question:
            worker.question = None
            if value != worker.n_reports:
                worker.n_reports, worker.since = value, now
            return
        did, worker.doing, worker.ref, worker.since = worker.doing, None, None, now
        if did == "ready":
            worker.doing, worker.ref = "start", worker.handle.start.remote(self._make_task)
        elif did == "start" and value is not None:
            logger.warning(f"node {worker.place.node[:8]} takes no part: {value}")
            self._refused[worker.place.node] = value
            self._kill(worker)
            del self._workers[worker.place]
            self._looked = float("-inf")
        elif did == "run":
            assert worker.unit is not None
            unit, worker.unit = worker.unit, None
            self._seconds_per_item = (now - worker.began) / len(unit.items)
            yield Finished(unit.items, value)

    def _give_up_the_silent(self) -> Generator[Lost, None, None]:
        """Ask actors for their progress, and give up those without an answer or without progress."""
        now = time.monotonic()
        for worker in list(self._workers.values()):
            if worker.doing in (None, "ready"):  # idle, or waiting until the node has room
                continue
            limit = START_SECONDS if worker.doing == "start" else self._stall
            if now - worker.since > limit:
                yield from self._lose(worker, f"no progress for {limit:g} s")
            elif worker.question is not None and now - worker.asked > ANSWER_SECONDS:
                yield from self._lose(worker, f"no answer for {ANSWER_SECONDS:g} s")
            elif worker.question is None and now - worker.asked > POLL_SECONDS and worker.doing == "run":
                worker.question, worker.asked = worker.handle.progress.remote(), now

    def _lose(self, worker: _Worker, reason: str) -> list[Lost]:
        """Give up an actor and take back its unit; return its item if that was lost too often."""
        logger.warning(f"an actor on node {worker.place.node[:8]} was lost ({reason}); its work is done again")
        self._kill(worker)
        del self._workers[worker.place]
        self._looked = min(self._looked, time.monotonic() - POLL_SECONDS + 1)  # soon
        unit = worker.unit
        if unit is None:
            return []
        self._n_starts[worker.place] = 0  # it was ready
        unit.losses += 1
        if unit.losses < MAX_LOSSES:
            self._again.append(unit)
        elif len(unit.items) > 1:
            self._again.extend(_Unit((item,)) for item in unit.items)
        else:
            return [Lost(unit.items[0])]
        return []

    def _pass_on_stop(self) -> None:
        if self._stop.is_set() and not self._is_stopping:
            self._is_stopping = True
            for worker in self._workers.values():
                worker.handle.stop.remote()

    def _kill(self, worker: _Worker) -> None:
        try:
            self._ray.kill(worker.handle, no_restart=True)
        except Exception as error:  # noqa: BLE001  # of any kind, while a cluster ends; the actor counts no longer
            logger.debug(f"an actor cannot be ended: {error}")
