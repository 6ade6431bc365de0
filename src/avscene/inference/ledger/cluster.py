"""Connect a run to a Ray cluster whose nodes load a system by its name or directory."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from avscene.cluster import connect
from avscene.inference.computing import Settings
from avscene.inference.journal import Journal
from avscene.inference.ledger.run import ClusterComputing
from avscene.inference.system import System


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and what its nodes load: the system, by name or directory, and the arguments of `avscene.load`."""

    address: str
    system: str
    options: dict[str, Any]

    @contextmanager
    def connected(self) -> Iterator[Callable[[System, Settings, Journal, threading.Event], ClusterComputing]]:
        """Connect, and yield what makes the computing of a run.

        Raises:
            UsageError: no cluster answers.
            WeightsError: Ray is not installed.
        """
        with connect(self.address):
            path = os.path.abspath(self.system)  # noqa: PTH100  # unlike Path, never raises
            place = path if os.path.isdir(self.system) else self.system  # noqa: PTH112

            def computing(
                system: System, settings: Settings, journal: Journal, stop: threading.Event
            ) -> ClusterComputing:
                options = self.options | {"precision": dict(system.precision)}  # the same on all nodes
                return ClusterComputing(place, options, settings, settings.fingerprint(system), journal, stop)

            yield computing
