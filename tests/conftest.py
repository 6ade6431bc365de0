"""Fix the conditions of every test: loopback only, empty caches, a clean environment, examples without a time limit."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.hub_server import HubServer, use_hub

if TYPE_CHECKING:
    from avscene.training.train import Trained

# Nothing listens on the discard port, so a request to the hub is refused at once, in child processes too.
NO_HUB = "http://127.0.0.1:9"
# Variables that change what the code under test does or prints: hub settings, proxies, terminal colors and width,
# and the launcher of distributed training.
CLEARED_PREFIXES = ("HF_", "HUGGINGFACE_")
CLEARED = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("GITHUB_ACTIONS", "COLUMNS", "LINES", "TERMINAL_WIDTH"),
    *("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"),
}

# A busy machine must not fail a test: examples have no time limit.
settings.register_profile("avscene", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("avscene")


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any test module is imported, because huggingface_hub reads it once."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in list(os.environ):
        if name.upper() in CLEARED or name.startswith(CLEARED_PREFIXES):
            patch.delenv(name)
    patch.setenv("HF_ENDPOINT", NO_HUB)
    patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    patch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))  # as the command line has it
    caches = _temporary_directory(config)
    patch.setenv("HF_HOME", f"{caches}/huggingface")
    patch.setenv("XDG_CACHE_HOME", f"{caches}/cache")


def _temporary_directory(config: pytest.Config) -> str:
    from tempfile import TemporaryDirectory

    directory = TemporaryDirectory(prefix="avscene-tests-", ignore_cleanup_errors=True)
    config.add_cleanup(directory.cleanup)
    return directory.name


@pytest.fixture
def hub_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hugging Face hub on loopback without repositories, used by this process; its cache `tmp_path/hub` is empty."""
    with HubServer() as server:
        use_hub(server, tmp_path / "hub", monkeypatch)
        yield server


@pytest.fixture(scope="session")
def scene_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three scenes with four recordings each, which no test changes."""
    from tests.support.scene_data import write_data

    return write_data(tmp_path_factory.mktemp("media") / "data")


@pytest.fixture(scope="session")
def scene_system(scene_data: Path, tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    """System `fast` trained on all of `scene_data`, which no test changes."""
    from tests.support.scene_data import train_on

    return train_on(scene_data, tmp_path_factory.mktemp("runs") / "system")


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Refuse connections to other hosts, as on a machine without a network."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: Any) -> None:
        _refuse(self.family, address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse(self.family, address)
        return connect_ex(self, address)

    def checked_getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if not _is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests resolve no host names: {host}")
        return getaddrinfo(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield


def _refuse(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise OSError(errno.ENETUNREACH, f"tests have no network: {address[0]}")


def _is_loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
