"""Let a run compute on a Ray cluster whose nodes load a system by its name or directory."""

import os
import threading
from dataclasses import dataclass
from typing import Any

from avscene.inference.journal import Journal
from avscene.inference.ledger.run import ClusterComputing
from avscene.inference.runs.computing import Settings
from avscene.inference.system import System


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and what its nodes load: the system, by name or directory, and the arguments of `avscene.load`."""

    address: str
    system: str
    options: dict[str, Any]

    def computing(
        self, system: System, settings: Settings, journal: Journal, stop: threading.Event, *, lines: bool = False
    ) -> ClusterComputing:
        """Return what computes the outcomes of a run in the connected cluster, by `system` as it was loaded here."""
        path = os.path.abspath(self.system)  # noqa: PTH100  # unlike Path, never raises
        place = path if os.path.isdir(self.system) else self.system  # noqa: PTH112
        options = self.options | {"precision": dict(system.precision)}  # the same on all nodes
        fingerprint = settings.fingerprint(system)
        return ClusterComputing(place, options, settings, fingerprint, journal, stop, lines)
