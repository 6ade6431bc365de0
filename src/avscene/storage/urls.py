"""Recognise URLs of object storage, split them, and remove what is secret in them."""

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

REMOTE_SCHEMES = ("s3", "gs", "az", "http", "https")
WEB_SCHEMES = ("http", "https")
_URL = re.compile(rf"({'|'.join(REMOTE_SCHEMES)})://", re.IGNORECASE)
_FILE = re.compile(r"file://(localhost)?(?=/)", re.IGNORECASE)
# Names of query parameters that give access: those of the signed URLs of Amazon, Google, Azure and CloudFront, and the
# usual names of tokens.
_SECRET = re.compile(
    r"x-amz-|x-goog-|sig|token|key|secret|pass|auth|cred|jwt|session|policy|expires|accessid|ticket", re.IGNORECASE
)
_SHARED_ACCESS = frozenset(
    "sv ss srt sp se st spr sip si sr sdd ses skoid sktid skt ske sks skv saoid suoid scid".split()
)


def is_remote(location: str | Path) -> bool:
    """Return whether a path is a URL of an object store or a web server."""
    return isinstance(location, str) and _URL.match(location) is not None


def scheme_of(url: str) -> str:
    """Return the scheme of a URL in lower case, such as `s3`."""
    return url.partition("://")[0].lower()


def local_path(location: str | Path) -> str | Path:
    """Return the path of a `file://` URL; other locations as they are."""
    found = _FILE.match(location) if isinstance(location, str) else None
    return location if found is None else unquote(found.string[found.end() :], errors="surrogateescape")


def name_of(url: str) -> str:
    """Return the last part of the path of a URL."""
    path = urlsplit(url).path if scheme_of(url) in WEB_SCHEMES else url
    return path.rstrip("/").rpartition("/")[2]


def shown(location: str | Path) -> str:
    """Return a location as it is printed and stored: a URL without user, password and secret query parameters."""
    text = os.fspath(location)
    if not is_remote(text):
        return text
    if scheme_of(text) not in WEB_SCHEMES:
        before, mark, after = text.partition("://")
        place, slash, rest = after.partition("/")
        return f"{before}{mark}{place.rpartition('@')[2]}{slash}{rest}" if ":" in place else text
    parts = urlsplit(text)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    has_signature = any(name.lower() == "sig" for name, _ in pairs)
    kept = [
        (name, value)
        for name, value in pairs
        if not _SECRET.search(name) and not (has_signature and name.lower() in _SHARED_ACCESS)
    ]
    query = parts.query if kept == pairs else urlencode(kept)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
