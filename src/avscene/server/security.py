"""Decide who may send a request: by its token or cookie, by its `Host` header, and by its `Origin`."""

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from avscene.server.settings import ServerSettings

COOKIE = "avscene_session"
SESSION_SECONDS = 30 * 86400
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Answered without a token: whether the server is up, and what signing in needs.
OPEN_PATHS = frozenset({"/healthz", "/page/signin.css", "/page/signin.js", "/page/signin.html", "/page/signin.svg"})
SIGN_IN = ("POST", "/v1/session")
PAGE = "/"  # answers 401 with a page to sign in


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused: 401 or 403, and a message of one line."""

    status: int
    message: str


class Guard:
    """The checks of a request by its method, path and headers (names in lower case)."""

    def __init__(self, settings: ServerSettings) -> None:
        self._hosts = settings.hosts
        self._origins = frozenset(origin.lower() for origin in settings.allowed_origins)
        self._token = settings.token

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Return why a request is refused, None if it is not."""
        host = headers.get("host", "")
        if self._hosts is not None and _host_name(host) not in self._hosts:
            return Refusal(403, f"host {host[:100]}: is not a name of this server")
        origin = headers.get("origin")
        if origin is not None and method not in SAFE_METHODS and not self._may_change(origin, host):
            return Refusal(403, f"pages of {origin[:100]} may not use this server; try: avscene serve --allow-origin")
        if not self.needs_token(method, path) or self.is_authorized(headers) or self.is_preflight(method, headers):
            return None
        return Refusal(401, "a token is needed; send: Authorization: Bearer TOKEN")

    def needs_token(self, method: str, path: str) -> bool:
        """Return whether an address is answered only with the token or the cookie for it."""
        return self._token is not None and path not in OPEN_PATHS and (method, path) != SIGN_IN

    def is_authorized(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request has the token, or the cookie for it, or no token is needed."""
        if self._token is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return self._is_session(_cookie(headers.get("cookie", "")))

    def is_token(self, given: str) -> bool:
        """Return whether a text is the token; takes the same time wherever they differ."""
        return self._token is not None and hmac.compare_digest(_bytes(given), _bytes(self._token))

    def new_session(self) -> str:
        """Return the value of a cookie that authorizes for SESSION_SECONDS; the token cannot be computed from it."""
        expires = str(int(time.time()) + SESSION_SECONDS)
        return f"{expires}.{self._signature(expires)}"

    def is_allowed_origin(self, origin: str) -> bool:
        """Return whether pages of another site may use the server."""
        return origin.lower() in self._origins

    def is_preflight(self, method: str, headers: Mapping[str, str]) -> bool:
        """Return whether a browser asks if a page of an allowed site may send a request."""
        is_question = method == "OPTIONS" and "access-control-request-method" in headers
        return is_question and self.is_allowed_origin(headers.get("origin", ""))

    def _may_change(self, origin: str, host: str) -> bool:
        # The scheme may differ: a proxy before the server may speak HTTPS.
        return self.is_allowed_origin(origin) or origin.partition("://")[2].lower() == host.lower()

    def _is_session(self, value: str | None) -> bool:
        expires, _, signature = (value or "").partition(".")
        if (
            not expires.isascii()
            or not expires.isdigit()
            or not hmac.compare_digest(_bytes(signature), _bytes(self._signature(expires)))
        ):
            return False
        return int(expires) > time.time()

    def _signature(self, expires: str) -> str:
        return hmac.new(_bytes(self._token or ""), _bytes(f"{COOKIE} {expires}"), hashlib.sha256).hexdigest()


def _host_name(host: str) -> str | None:
    """Return the name in a `Host` header, without its port; None if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018  # raises if it is no number
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host and "\\" not in host else None


def _cookie(header: str) -> str | None:
    """Return the value of the session's cookie; other cookies of this host may have any form."""
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
