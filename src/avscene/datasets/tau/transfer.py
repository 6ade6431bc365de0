"""Download a URL to a file of known length: resume, retry, and refuse any answer that cannot be right."""

import ipaddress
import re
import time
from pathlib import Path

import httpx

from avscene.datasets.tau.archives import Archive, size_of
from avscene.errors import DataError, UsageError
from avscene.progress import StageProgress

PAUSES = (1, 2, 4, 8, 15, 30, 60)  # seconds before each retry, while little arrives
RETRIES_WITHOUT_ANSWER = 3  # if the server never answered: then the network or the name is wrong more often
PROGRESS_BYTES = 1_000_000  # once so many have arrived, the pauses start over
LONGEST_PAUSE = 120  # seconds, even if the server asks for more
TIMEOUT = httpx.Timeout(30, read=60)  # seconds
TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
NUMBER = re.compile(r"[0-9]{1,18}")  # no real length has more digits
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


class _TransferError(Exception):
    """A transfer that failed and may succeed next time, after `pause` seconds if the server asked for a pause."""

    def __init__(self, reason: str, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause


def open_client() -> httpx.Client:
    """Open a client that follows redirects to encrypted URLs only; proxies are those of the environment.

    Raises:
        UsageError: the environment names a proxy that cannot be used.
    """
    try:
        return httpx.Client(
            follow_redirects=True,
            timeout=TIMEOUT,
            headers={"Accept-Encoding": "identity"},  # ranges count the bytes of the file itself
            event_hooks={"request": [lambda request: check_url(request.url)]},
        )
    except (ValueError, ImportError) as error:
        raise UsageError(f"the proxy that the environment names cannot be used: {error}") from error


def check_url(url: httpx.URL) -> None:
    """Raise unless `url` is protected from being read or changed on the way.

    Raises:
        UsageError: it is neither https nor on this machine.
    """
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise UsageError(f"{without_secrets(url)}: refused: archives are downloaded by https")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_secrets(url: httpx.URL) -> str:
    """Return `url` for messages: without password, query (redirects put tickets there) and fragment."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def fetch_rest(client: httpx.Client, url: httpx.URL, archive: Archive, part: Path, progress: StageProgress) -> None:
    """Fetch what `part` lacks of `archive`, until it has its published length; never write a byte more.

    Raises:
        DataError: the server does not have it, offers something else, or fails again and again; the disk is full.
            What was fetched is kept, and the next call continues.
    """
    failures, retries = 0, RETRIES_WITHOUT_ANSWER
    while (size := size_of(part) or 0) != archive.bytes:
        try:
            _transfer(client, url, archive, part, progress)
            if (size_of(part) or 0) < archive.bytes:
                raise _TransferError("the server ended early")
        except httpx.TooManyRedirects as error:
            raise DataError(
                f"{without_secrets(url)}: the server redirects in a circle; try another --source"
            ) from error
        except (_TransferError, httpx.TransportError) as error:
            now = size_of(part) or 0
            failures = 0 if now > size + PROGRESS_BYTES else failures + 1
            if isinstance(error, _TransferError) or now > size:
                retries = len(PAUSES)
            if failures > retries:
                raise DataError(
                    f"{without_secrets(url)}: {_reason(error)}; run the same command again to continue"
                ) from error
            _wait(error, failures, archive, progress, now)
        except OSError as error:
            raise DataError(
                f"{part}: cannot be written ({error.strerror}); then run the same command again to continue"
            ) from error


def _wait(error: Exception, failures: int, archive: Archive, progress: StageProgress, size: int) -> None:
    asked = error.pause if isinstance(error, _TransferError) else 0
    pause = max(PAUSES[max(failures - 1, 0)], min(asked, LONGEST_PAUSE))
    progress(f"{archive.label}: {_reason(error)}; again in {pause:g} s")(size, archive.bytes)
    time.sleep(pause)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"the server cannot be reached ({text})"
    return text if isinstance(error, _TransferError) else f"the connection broke off ({text})"


def _transfer(client: httpx.Client, url: httpx.URL, archive: Archive, part: Path, progress: StageProgress) -> None:
    """Send one request and append the answer to `part`, or start over if the server cannot resume."""
    begin = size_of(part) or 0
    if begin > archive.bytes:  # of another version
        part.unlink()
        begin = 0
    headers = {"Range": f"bytes={begin}-"} if begin else {}
    fetching = progress(f"{archive.label}: downloading")
    with client.stream("GET", url, headers=headers) as response:
        at = _checked_start(response, archive, begin)
        with part.open("ab" if at else "wb") as file:
            for chunk in response.iter_raw():
                if at + len(chunk) > archive.bytes:
                    raise DataError(
                        f"{without_secrets(response.url)}: refused: it goes on after the {archive.bytes} bytes that "
                        "were published; try another --source"
                    )
                at += file.write(chunk)
                fetching(at, archive.bytes)


def _checked_start(response: httpx.Response, archive: Archive, begin: int) -> int:
    """Check that an answer fits the request, and return the position in the file from which it sends."""
    url, status = without_secrets(response.url), response.status_code
    if status in TEMPORARY_STATUSES:
        pause = _number(response.headers.get("Retry-After")) or 0
        raise _TransferError(f"the server answers with HTTP {status}", pause)
    if status not in (200, 206) or (status == 206 and not begin):
        raise DataError(f"{url}: answers with HTTP {status}; try another --source")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise DataError(f"{url}: sends a web page, not an archive; does this network ask for a login?")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DataError(f"{url}: sends the archive in another encoding than requested; try another --source")
    at = begin if status == 206 else 0
    if status == 206:
        _check_range(url, response.headers.get("Content-Range", ""), archive, begin)
    offered = _number(response.headers.get("Content-Length"))
    if offered not in (None, archive.bytes - at):
        raise DataError(
            f"{url}: refused: it offers {offered} bytes where {archive.bytes - at} of the published ones are missing; "
            "try another --source"
        )
    return at


def _check_range(url: str, text: str, archive: Archive, begin: int) -> None:
    found = CONTENT_RANGE.fullmatch(text)
    if found is None or int(found[1]) != begin or found[2] not in ("*", str(archive.bytes)):
        raise DataError(
            f"{url}: refused: bytes {begin}-{archive.bytes - 1} were requested and it sends {text or 'others'}; "
            "try another --source"
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and NUMBER.fullmatch(text) else None
