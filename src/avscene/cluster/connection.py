"""Connect to a Ray cluster, or start one of this machine alone."""

import importlib
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avscene.errors import UsageError, WeightsError

LOCAL, AUTO = "local", "auto"
CLIENT = "ray://"  # before the address of Ray's client server
OBJECT_STORE = 100 * 2**20  # bytes on a cluster of this machine; only paths and names of files are exchanged
CONNECT_SECONDS = 5.0


@contextmanager
def connect(address: str) -> Iterator[None]:
    """Connect to the cluster at `address`, and disconnect at the end.

    Args:
        address: `local` starts a cluster of this machine, which ends with the connection; `auto` is the one that this
            machine belongs to; else HOST:PORT of a cluster's head, or ray://HOST:PORT of its client server.

    Raises:
        UsageError: no cluster answers there.
        WeightsError: Ray is not installed.
    """
    ray = import_ray()
    _check_reachable(address)
    options: dict[str, Any] = {}
    if address == LOCAL:
        options = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    before = logging.getLogger("ray").level
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise _no_cluster(address, reason) from error
    try:
        yield
    finally:
        ray.shutdown()
        logging.getLogger("ray").setLevel(before)


def import_ray() -> Any:
    """Return the module `ray`.

    Raises:
        WeightsError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise WeightsError("--ray needs Ray, which is not installed; run: pip install 'avscene[ray]'") from error


def _check_reachable(address: str) -> None:
    """Check that something listens at an address with a port: Ray itself would try for minutes."""
    if address in (LOCAL, AUTO):
        return
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--ray {address}: is not {LOCAL}, {AUTO}, HOST:PORT or {CLIENT}HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or str(error)) from error


def _no_cluster(address: str, reason: str) -> UsageError:
    return UsageError(f"--ray {address}: no Ray cluster answers ({reason}); start one with: ray start --head")
