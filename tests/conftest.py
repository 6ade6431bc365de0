"""What every test runs under: no network but loopback, and caches of its own."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

# Nothing listens on the discard port: what asks the hub here is refused at once, in other processes too.
NO_HUB = "http://127.0.0.1:9"


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before any test module is imported: huggingface_hub reads it once."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_"))]:
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


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Other hosts are out of reach, as on a machine without a network."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: Any) -> None:
        _refuse(self.family, address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse(self.family, address)
        return connect_ex(self, address)

    def checked_getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        if not _is_loopback(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests look up no names: {host}")
        return getaddrinfo(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield


def _refuse(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
        raise OSError(errno.ENETUNREACH, f"tests reach no network: {address[0]}")


def _is_loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
