"""Retry requests to object storage, and turn the errors of its libraries into messages of one line without secrets."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from avscene.errors import AvsceneError, StorageError
from avscene.storage.connections import VARIABLES, StoppedError
from avscene.storage.urls import WEB_SCHEMES, scheme_of, shown

Value = TypeVar("Value")
DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each further attempt, at most; the least is half of it
_POLL_SECONDS = 0.2
_TRANSIENT_STATUS = frozenset((408, 425, 429, 500, 502, 503, 504))
# Classes of errors after which a request may succeed, of the libraries that are not imported here.
_TRANSIENT_ERRORS = frozenset(
    (
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",
        "ConnectionError",  # botocore
        "FlexibleChecksumError",
        "HTTPClientError",
        "IncompleteReadError",
        "ResponseParserError",
        "ServiceRequestError",  # azure
        "ServiceResponseError",
        "TransportError",  # google
        "RequestException",  # requests
    )
)
_STATUS = ("status", "status_code")
_NO_CREDENTIALS = frozenset(("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"))


class IncompleteError(Exception):
    """A body ended before its stated length."""


class ChangedError(Exception):
    """An object is no longer the one that was first asked for."""


class _Waits:
    """Counts the threads that wait for a service."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.n_waiting = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self.n_waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self.n_waiting -= 1


_waits = _Waits()


def is_waiting() -> bool:
    """Return whether this process waits for a service: no sign of a process that hangs, as every wait has an end."""
    return _waits.n_waiting > 0


@_waits.counted()
def retry(url: str, attempt: Callable[[], Value], stopped: Callable[[], bool], progress: Callable[[], int]) -> Value:
    """Return the value of `attempt`, which is called again after errors that may pass, with growing random delays.

    Args:
        url: The object, for messages.
        attempt: Sends the request.
        stopped: Whether the run has ended.
        progress: Returns the number of bytes received; after an attempt that received some, counting begins again.

    Raises:
        StorageError: the error does not pass, or not within the attempts.
        StoppedError: the run has ended.
    """
    failed, received = 0, progress()
    while True:
        try:
            return attempt()
        except (StoppedError, AvsceneError):
            raise
        except Exception as error:  # noqa: BLE001  # of any library; raised as StorageError
            if progress() > received:
                failed, received = 0, progress()
            if not _is_transient(error):
                raise _storage_error(url, error) from None
            if failed == len(DELAYS):
                attempts = f"after {failed + 1} attempts"
                raise StorageError(
                    f"{shown(url)}: cannot be reached {attempts} ({_reason(error)}); run the same command again later"
                ) from None
        _sleep(DELAYS[failed] * random.uniform(0.5, 1), stopped)  # noqa: S311  # not a secret
        failed += 1


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        if stopped():
            raise StoppedError
        time.sleep(min(rest, _POLL_SECONDS))


def is_missing(error: BaseException) -> bool:
    """Return whether a library's error means that there is no such object."""
    status = _status(error)
    return status in (404, 410) or (status is None and isinstance(error, FileNotFoundError))


def _is_transient(error: Exception) -> bool:
    if isinstance(error, IncompleteError):
        return True
    if isinstance(error, ChangedError):
        return False
    status = _status(error)
    if status is not None and status >= 400:
        return status in _TRANSIENT_STATUS
    return any(
        isinstance(each, TimeoutError | ConnectionError) or _is_a(each, _TRANSIENT_ERRORS) for each in _chain(error)
    )


def _storage_error(url: str, error: Exception) -> StorageError:
    """Return the error of a request that is not repeated."""
    name, status = shown(url), _status(error)
    if isinstance(error, ChangedError) or status == 412:
        return StorageError(f"{name}: changed while it was read; try: run the same command again")
    if any(_is_a(each, _NO_CREDENTIALS) for each in _chain(error)):
        variable = VARIABLES.get(scheme_of(url), "the variables of the service")
        return StorageError(f"{name}: no credentials in the environment; set for example {variable}")
    denied = isinstance(error, PermissionError) or str(error).startswith("Forbidden:")  # of gcsfs
    if status in (401, 403) or (status is None and denied):
        code = "" if status is None else f" (HTTP {status})"
        return StorageError(f"{name}: access denied{code}; check the credentials in the environment")
    if is_missing(error):
        if scheme_of(url) in WEB_SCHEMES:
            return StorageError(f"{name}: not found (HTTP {status or 404})")
        is_folder = url.endswith("/")
        what = "bucket" if is_folder else "object; the name of a folder of objects ends with /"
        return StorageError(f"{name}: no such {what}")
    return StorageError(f"{name}: cannot be read or written ({_reason(error)})")


def _reason(error: Exception) -> str:
    """Return what went wrong, without the text of a library: it may have signatures and keys in it."""
    status = _status(error)
    if status is not None:
        return f"HTTP {status}"
    if isinstance(error, IncompleteError):
        return str(error)
    if any(isinstance(each, TimeoutError) or "Timeout" in type(each).__name__ for each in _chain(error)):
        return "no answer in time"
    if any(_is_a(each, {"ClientPayloadError", "IncompleteReadError"}) for each in _chain(error)):
        return "the answer is incomplete"
    if _is_transient(error):
        return "no connection"
    return type(error).__name__


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error of any of the libraries was raised for."""
    for each in _chain(error):
        response: Any = getattr(each, "response", None)
        if isinstance(response, dict):  # of botocore
            status: object = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:  # of aiohttp and azure; `code` of other errors is none that the server sent
            names = (*_STATUS, "code") if type(each).__name__ == "HttpError" else _STATUS  # of gcsfs
            status = next((getattr(each, name) for name in names if hasattr(each, name)), None)
        if isinstance(status, int | str) and str(status).isdecimal() and 100 <= int(status) < 600:
            return int(status)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it, the last one first."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _is_a(error: BaseException, names: frozenset[str] | set[str]) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)
