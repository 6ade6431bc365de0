"""Connect to object stores, and run their asynchronous requests from threads that can be stopped."""

import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from functools import cache, partial
from typing import Any, TypeVar

from avscene.errors import PackageError, StorageError
from avscene.storage.urls import WEB_SCHEMES, scheme_of, shown

Value = TypeVar("Value")
CONNECT_SECONDS = 10.0  # in which a server must accept a connection
STALL_SECONDS = 60.0  # without a byte, after which a request has failed
_POLL_SECONDS = 0.2
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}  # by scheme, which is the name of the extra too
# Where the services' libraries look for credentials first.
VARIABLES = {
    "s3": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_lock = threading.Lock()


class StoppedError(Exception):
    """The request was given up because the run has ended."""


def file_system(url: str) -> Any:
    """Return fsspec's file system for a URL; credentials come from the environment, as its service's tools find them.

    Raises:
        PackageError: the package for this scheme is not installed.
        StorageError: the URL has a user and password, or the environment has no credentials.
    """
    scheme = scheme_of(url)
    if scheme not in WEB_SCHEMES and shown(url) != url:
        raise StorageError(f"{shown(url)}: has a user and password; give them in the environment, not in the URL")
    with _lock:
        return _connected("http" if scheme in WEB_SCHEMES else scheme)


@cache
def _connected(scheme: str) -> Any:
    import fsspec  # takes a while to import, as the packages do

    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if scheme == "http":
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=STALL_SECONDS)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}  # of proxies
    elif scheme == "s3":
        options["config_kwargs"] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": STALL_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": 1},  # `retry` does it
        }
    elif scheme == "az":
        options |= {"connection_timeout": int(CONNECT_SECONDS), "read_timeout": int(STALL_SECONDS)}
    try:
        connected = _google(options) if scheme == "gs" else fsspec.filesystem(scheme, **options)
    except ValueError as error:  # of Azure without an account
        raise StorageError(
            f"{scheme}://: no credentials in the environment; set for example {VARIABLES[scheme]}"
        ) from error
    except ImportError as error:
        reason = f"{scheme}:// needs the package {_PACKAGES.get(scheme, 'aiohttp')}"
        raise PackageError(f"{reason}; run: pip install 'avscene[{scheme}]'") from error
    if scheme == "s3":
        connected.retries = 1
    elif scheme == "az":
        for policy in connected.service_client._pipeline._impl_policies:
            if hasattr(policy, "total_retries"):
                policy.total_retries = 0
    return connected


def _google(options: dict[str, Any]) -> Any:
    """Return the file system of Google Cloud Storage, without what fsspec would choose: it looks up kinds of buckets.

    Raises:
        ImportError: its package is not installed.
    """
    from gcsfs.core import GCSFileSystem

    connected = GCSFileSystem(**options)
    once = getattr(type(connected)._request, "__wrapped__", None)
    if once is not None:  # a request without gcsfs's own repetitions: `retry` does it
        connected._request = partial(once, connected)
    return connected


def wait_for(system: Any, request: Coroutine[Any, Any, Value], stopped: Callable[[], bool]) -> Value:
    """Run a request in the thread of fsspec and return its value; raise its error.

    Raises:
        StoppedError: `stopped` returned True before the request was complete.
    """
    import asyncio

    future = asyncio.run_coroutine_threadsafe(request, system.loop)
    while not concurrent.futures.wait([future], timeout=_POLL_SECONDS).done:
        if stopped():
            future.cancel()
            raise StoppedError
    return future.result()
