"""A URL -> a file of known length: HTTP that resumes, retries, and believes nothing that a server says."""

import ipaddress
import re
import time
from pathlib import Path

import httpx

from avscene.datasets.tau.archives import Archive, Progress, size_of
from avscene.errors import DataError, UsageError

PAUSES = (1, 2, 4, 8, 15, 30, 60)  # seconds before trying again, as long as nothing much comes
UNHEARD = 3  # tries again for a server that never answered: more often it is the network, or the name
MUCH = 1_000_000  # bytes after which the pauses start over
LONGEST_PAUSE = 120  # seconds, whatever a server asks for
TIMEOUT = httpx.Timeout(30, read=60)  # seconds
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may be gone in a minute
NUMBER = re.compile(r"[0-9]{1,18}")  # anything longer is nonsense
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


class _BrokenError(Exception):
    """The transfer did not get to its end, and may the next time; after `pause` seconds, if the server says so."""

    def __init__(self, reason: str, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause


def open_client() -> httpx.Client:
    """A client that follows redirects, to encrypted places only; proxies are those of the environment.

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
    """Make sure that nobody on the way can read or change what comes from `url`.

    Raises:
        UsageError: it is neither https nor on this machine.
    """
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise UsageError(f"{shown(url)}: is refused: archives are fetched by https")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown(url: httpx.URL) -> str:
    """`url` for messages: without a password, and without the tickets that redirects carry."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def complete(client: httpx.Client, url: httpx.URL, archive: Archive, part: Path, progress: Progress) -> None:
    """Fetch what `part` lacks of `archive`, until it has its published length; not one byte more is ever written.

    Raises:
        DataError: the server does not have it, offers something else, or breaks off again and again; the disk is full.
            What was fetched stays, and the next call goes on from there.
    """
    failures, patience = 0, UNHEARD
    while (size := size_of(part) or 0) != archive.bytes:
        try:
            _transfer(client, url, archive, part, progress)
            if (size_of(part) or 0) < archive.bytes:
                raise _BrokenError("the server ended early")
        except httpx.TooManyRedirects as error:
            raise DataError(f"{shown(url)}: the server sends us in a circle; try another --source") from error
        except (_BrokenError, httpx.TransportError) as error:
            now = size_of(part) or 0
            failures = 0 if now > size + MUCH else failures + 1
            if isinstance(error, _BrokenError) or now > size:
                patience = len(PAUSES)
            if failures > patience:
                raise DataError(f"{shown(url)}: {_reason(error)}; run again: it goes on where it stopped") from error
            _wait(error, failures, archive, progress, now)
        except OSError as error:
            raise DataError(f"{part}: cannot be written ({error.strerror}); then run again: it goes on") from error


def _wait(error: Exception, failures: int, archive: Archive, progress: Progress, size: int) -> None:
    asked = error.pause if isinstance(error, _BrokenError) else 0
    pause = max(PAUSES[max(failures - 1, 0)], min(asked, LONGEST_PAUSE))
    progress(f"{archive.label}: {_reason(error)}; again in {pause:g} s", size, archive.bytes)
    time.sleep(pause)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, httpx.TimeoutException):
        return "the server does not answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"the server cannot be reached ({text})"
    return text if isinstance(error, _BrokenError) else f"the connection broke off ({text})"


def _transfer(client: httpx.Client, url: httpx.URL, archive: Archive, part: Path, progress: Progress) -> None:
    """One request: append to `part` what comes, or start it over where the server does not resume."""
    begin = size_of(part) or 0
    if begin > archive.bytes:  # of another make
        part.unlink()
        begin = 0
    headers = {"Range": f"bytes={begin}-"} if begin else {}
    with client.stream("GET", url, headers=headers) as response:
        at = _begins_at(response, archive, begin)
        with part.open("ab" if at else "wb") as file:
            for chunk in response.iter_raw():
                if at + len(chunk) > archive.bytes:
                    raise DataError(
                        f"{shown(response.url)}: is refused: it goes on after the {archive.bytes} bytes that were "
                        "published; try another --source"
                    )
                at += file.write(chunk)
                progress(f"{archive.label}: fetching", at, archive.bytes)


def _begins_at(response: httpx.Response, archive: Archive, begin: int) -> int:
    """The position in the file from which the answer sends, once it has proved to be an answer to what was asked."""
    where, status = shown(response.url), response.status_code
    if status in PASSING:
        raise _BrokenError(f"the server answers with HTTP {status}", _number(response.headers.get("Retry-After")) or 0)
    if status not in (200, 206) or (status == 206 and not begin):
        raise DataError(f"{where}: answers with HTTP {status}; try another --source")
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html"):
        raise DataError(f"{where}: sends a web page, not an archive; is this network asking for a login?")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise DataError(f"{where}: sends the archive in another encoding than it was asked for; try another --source")
    at = begin if status == 206 else 0
    if status == 206:
        _check_range(where, response.headers.get("Content-Range", ""), archive, begin)
    offered = _number(response.headers.get("Content-Length"))
    if offered not in (None, archive.bytes - at):
        raise DataError(
            f"{where}: is refused: it offers {offered} bytes where {archive.bytes - at} of those that were published "
            "are missing; try another --source"
        )
    return at


def _check_range(where: str, text: str, archive: Archive, begin: int) -> None:
    found = CONTENT_RANGE.fullmatch(text)
    if found is None or int(found[1]) != begin or found[2] not in ("*", str(archive.bytes)):
        raise DataError(
            f"{where}: was asked for bytes {begin}-{archive.bytes - 1} and sends {text or 'others'}; refused"
        )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and NUMBER.fullmatch(text) else None
