"""Fix the conditions of every test: loopback only, empty caches, a clean environment, examples without a time limit."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.hub_server import HubServer, use_hub

if TYPE_CHECKING:
    from avscene.training.train import Trained

# Nothing listens on the discard port, so a request to the hub is refused at once, in child processes too.
NO_HUB = "http://127.0.0.1:9"
# Variables that change what the code under test, its libraries and child processes do or print: the hub's settings,
# proxies and certificates, colors and width of a terminal, the launcher of distributed training, Python's own switches.
CLEARED_PREFIXES = (
    *("HF_", "HUGGINGFACE_", "TIMM_", "TQDM_", "TYPER_", "_TYPER_"),
    *("AWS_", "AZURE_", "FSSPEC_", "GCSFS_", "GOOGLE_", "STORAGE_EMULATOR_"),
)
CLEARED = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "TRANSFORMERS_OFFLINE"),
    *("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("GITHUB_ACTIONS", "LINES", "TERMINAL_WIDTH", "UNICODE_VERSION"),
    *("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("PYTHONWARNINGS", "PYTHONSAFEPATH", "PYTHONOPTIMIZE", "PYTHONDEVMODE"),
}

# A busy machine must not fail a test: examples have no time limit.
settings.register_profile("avscene", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("avscene")


def _set_environment(patch: pytest.MonkeyPatch, caches: str) -> None:
    for name in list(os.environ):
        if name.upper() in CLEARED or name.startswith(CLEARED_PREFIXES):
            patch.delenv(name)
    patch.setenv("COLUMNS", "80")
    patch.setenv("HF_ENDPOINT", NO_HUB)
    patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    patch.setenv("HF_HOME", f"{caches}/huggingface")
    patch.setenv("XDG_CACHE_HOME", f"{caches}/cache")
    patch.setenv("XDG_DATA_HOME", f"{caches}/data")
    # The networks of tests are small: a second thread of torch makes them slower, ten times so on a busy machine.
    patch.setenv("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    patch.setenv("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "PASSIVE"))  # as the command line has it


# Set when this file is imported: torch and huggingface_hub read the environment once, and the conftest.py of a folder
# named on pytest's command line imports them before pytest calls any hook.
_PATCH, _CACHES = pytest.MonkeyPatch(), TemporaryDirectory(prefix="avscene-tests-", ignore_cleanup_errors=True)
_set_environment(_PATCH, _CACHES.name)


def pytest_configure(config: pytest.Config) -> None:
    """Restore the environment and remove the caches at the end."""
    config.add_cleanup(_PATCH.undo)
    config.add_cleanup(_CACHES.cleanup)


@pytest.fixture(autouse=True)
def ordinary_priority() -> Iterator[None]:
    """Fail if a test left this thread real-time priority: what it starts later, browsers too, starves the machine."""
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        pytest.fail("the test left this thread real-time priority")


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
        if not _is_here(host):
            raise socket.gaierror(socket.EAI_NONAME, f"tests resolve no host names: {host}")
        return getaddrinfo(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield


def _refuse(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
        raise OSError(errno.ENETUNREACH, f"tests have no network: {address[0]}")


def _is_here(host: Any) -> bool:
    """Whether a host is this machine: the loopback address, or one of its own, which Ray's nodes use."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
        if not address.is_loopback:
            with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as probe:
                probe.bind((name, 0))  # to an address of another machine, it cannot be bound
    except (ValueError, OSError):
        return False
    return True
