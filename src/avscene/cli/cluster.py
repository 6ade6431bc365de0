"""Connect a command to the cluster of `--ray`."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avscene.inference import System
    from avscene.inference.computing import Settings
    from avscene.inference.journal import Journal
    from avscene.inference.ledger import ClusterComputing


@contextmanager
def cluster_at(address: str | None) -> Iterator[None]:
    """Connect to the cluster at `address`; without an address, do nothing.

    Raises:
        UsageError: no cluster answers.
        WeightsError: Ray is not installed.
    """
    if address is None:
        yield
        return
    from avscene.cluster import connect

    with connect(address):
        yield


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and what its nodes load: the system, by name or directory, and the arguments of `avscene.load`."""

    address: str
    system: str
    options: dict[str, Any]

    def computing(
        self, system: "System", settings: "Settings", journal: "Journal", stop: threading.Event, *, lines: bool = False
    ) -> "ClusterComputing":
        """Return what computes the outcomes of a run in the connected cluster, by `system` as it was loaded here."""
        from avscene.inference.ledger import ClusterComputing

        path = os.path.abspath(self.system)  # noqa: PTH100  # unlike Path, never raises
        place = path if os.path.isdir(self.system) else self.system  # noqa: PTH112
        options = self.options | {"precision": dict(system.precision)}  # the same on all nodes
        fingerprint = settings.fingerprint(system)
        return ClusterComputing(place, options, settings, fingerprint, journal, stop, lines)
