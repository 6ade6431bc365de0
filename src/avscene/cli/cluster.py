"""Connect a command to the cluster of `--ray`."""

from collections.abc import Iterator
from contextlib import contextmanager


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
