"""Do units of work in a process on a node, and report how far it has come."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from avscene.errors import AvsceneError


class Task(Protocol):
    """Does units of work; made once for each actor, where it loads what all units need."""

    def run(self, items: Sequence[Any], report: Callable[[], None], stop: threading.Event) -> Any:
        """Do a unit and return a small value; once `stop` is set, begin nothing more.

        `report` is to be called whenever a part of the work is done: an actor that is silent for long is given up.
        """
        ...


class Actor:
    """Does the units of one task; Ray runs its methods in threads, so that `progress` answers during `run`."""

    def __init__(self) -> None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: idle threads sleep
        self._n_reports = 0
        self._stop = threading.Event()
        self._task: Task | None = None

    def ready(self) -> None:
        """Return as soon as the actor's process runs."""

    def start(self, make_task: Callable[[], Task]) -> str | None:
        """Make the task; return the reason if this node cannot."""
        try:
            self._task = make_task()
        except AvsceneError as error:
            return str(error)
        return None

    def run(self, items: Sequence[Any]) -> Any:
        """Do a unit."""
        assert self._task is not None
        return self._task.run(items, self._report, self._stop)

    def progress(self) -> int:
        """Return a number that grows with the work done."""
        return self._n_reports

    def stop(self) -> None:
        """Let the unit in work begin nothing more."""
        self._stop.set()

    def _report(self) -> None:
        self._n_reports += 1
