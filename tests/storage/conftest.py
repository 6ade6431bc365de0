from collections.abc import Iterator

import pytest

from avscene.storage import connections, retrying
from tests.support.object_server import ObjectServer


@pytest.fixture(scope="package")
def running() -> Iterator[ObjectServer]:
    with ObjectServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "STALL_SECONDS", 0.5)
        yield server


@pytest.fixture
def server(running: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A server without objects, which clients find; failed requests are repeated after milliseconds."""
    running.set_environment(monkeypatch)
    monkeypatch.setattr(retrying, "DELAYS", (0.001,) * 5)
    yield running
    running.clear()


@pytest.fixture
def no_connections() -> Iterator[None]:
    """No client is connected, and none stays so: each connects with the environment that it finds."""
    connections._connected.cache_clear()
    yield
    connections._connected.cache_clear()
