"""Define the settings of the server, and check them before anything is loaded."""

import math
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from avscene.errors import UsageError
from avscene.files import data_directory
from avscene.media.limits import Limits

MIN_TOKEN = 16  # characters
MIN_JOB_SECONDS = 3600.0  # an hour, for short recordings on a slow machine
_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header can hold, without spaces


def default_directory() -> Path:
    """Return the directory of the jobs of this user."""
    return data_directory() / "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Settings of `avscene serve`.

    Attributes:
        host: Address to listen on; one that other machines can reach needs a token.
        port: TCP port; 0 is any free one.
        directory: Of jobs and their files.
        system: System of requests that name none; None is the best one with weights.
        device: As in `avscene.load`, like `precision` and `offline`.
        precision: See `device`.
        offline: See `device`.
        workers: Recordings that are decoded at a time; None is one for each processor, at most eight.
        max_upload: Bytes of a media file.
        max_duration: Seconds of a recording.
        keep: Days that finished jobs are kept.
        max_queue: Jobs that wait or run at a time.
        token: Secret that clients must present; None lets in everyone who can reach the address.
        allowed_origins: Other web sites whose pages may use this server, such as `https://example.org`.
        results: Results of `avscene classify` to browse: a file or a directory.

    Raises:
        UsageError: a setting is wrong, or other machines can reach the address and there is no token.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    directory: Path = field(default_factory=default_directory)
    system: str | None = None
    device: str = "auto"
    precision: str = "auto"
    offline: bool = False
    workers: int | None = None
    max_upload: int = 2 * 2**30
    max_duration: float = 4 * 3600.0
    keep: float = 7.0
    max_queue: int = 256
    token: str | None = field(default=None, repr=False)
    allowed_origins: tuple[str, ...] = ()
    results: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise UsageError(f"--port {self.port}: must be a number from 0 to 65535")
        for option in ("max_upload", "max_duration", "keep", "max_queue", "workers"):
            value = getattr(self, option)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise UsageError(f"--{option.replace('_', '-')} {value}: must be a positive number")
        self._check_token()
        for origin in self.allowed_origins:
            _check_origin(origin)

    @property
    def limits(self) -> Limits:
        """What one recording may need."""
        return Limits(hours=self.max_duration / 3600)

    @property
    def max_job_seconds(self) -> float:
        """Time that a job may take: twice that of the longest recording, at least MIN_JOB_SECONDS."""
        return max(MIN_JOB_SECONDS, 2 * self.max_duration)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        address = _address(self.host)
        return address is not None and address.is_loopback

    @property
    def hosts(self) -> frozenset[str] | None:
        """Names of this server that the header `Host` may have, without a port; None if it may have any.

        A page of another site can let its own name point to this machine (DNS rebinding); its requests then have that
        name in `Host`.
        """
        address = _address(self.host)
        if address is not None and address.is_unspecified and self.token is not None:
            return None
        allowed = {str(urlsplit(origin).hostname) for origin in self.allowed_origins}
        return frozenset({self.host.lower().strip("[]"), "localhost", "127.0.0.1", "::1", *allowed})

    def _check_token(self) -> None:
        if self.token is None:
            if not self.is_loopback:
                raise UsageError(
                    f"--host {self.host}: other machines can reach this address, so a token is needed; "
                    f"try: AVSCENE_TOKEN=$(openssl rand -hex 16) avscene serve --host {self.host}"
                )
        elif len(self.token) < MIN_TOKEN or not _TOKEN.fullmatch(self.token):
            raise UsageError(
                f"--token: must be at least {MIN_TOKEN} letters, digits or signs, without spaces; "
                "try: AVSCENE_TOKEN=$(openssl rand -hex 16) avscene serve"
            )


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _check_origin(origin: str) -> None:
    """Raise UsageError if a text is not the origin of a web site."""
    try:
        parts = urlsplit(origin)
        is_origin = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_origin = False
    if not is_origin or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        raise UsageError(f"--allow-origin {origin!r}: is not an origin; try: --allow-origin https://example.org")
