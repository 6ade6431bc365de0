"""Fetch OpenL3's published weights, convert them, and pin them by checksum. Imports no torch.

The publishers give no checksum. The first file that is fetched is trusted, and its SHA-256 is written into a lock file
beside the converted weights: any other file is refused afterwards. Heads store the checksum they were trained with.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from avscene.errors import WeightsError
from avscene.files import cache_directory, replace_when_complete
from avscene.progress import Progress, StageProgress, silent
from avscene.records import FloatArray, Needs

BASE_URL = "https://github.com/marl/openl3/raw/models"  # CC BY 4.0, Cramer et al.
MAX_DOWNLOAD = 32 << 20  # bytes; a published file has about 17 MB
READ_SECONDS, ALL_SECONDS = 30.0, 900.0  # time limits: without a byte, and for the whole file
_CHUNK = 1 << 16


class Lock(BaseModel):
    """Record of the first use of a published file: its source, its SHA-256 and that of the converted file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    source_sha256: str
    converted_sha256: str


@dataclass(frozen=True, slots=True)
class OpenL3Weights:
    """Weights of one of OpenL3's networks, trained with log-mels of 256 bands on videos of that content."""

    branch: Literal["audio", "image"]
    content: Literal["env", "music"] = "env"

    @property
    def file(self) -> str:
        """Name of the published file."""
        return f"openl3_{self.branch}_mel256_{self.content}-v0_4_0.h5.gz"

    @property
    def url(self) -> str:
        """Address of the published file."""
        return f"{BASE_URL}/{self.file}"

    @property
    def placed(self) -> Path:
        """Path at which a copy that was downloaded by other means is found."""
        return directory() / self.file

    @property
    def converted(self) -> Path:
        """Path of the converted tensors."""
        return directory() / self.file.replace(".h5.gz", ".safetensors")

    @property
    def lock(self) -> Path:
        """Path of the checksums."""
        return directory() / self.file.replace(".h5.gz", ".lock.json")


AUDIO, IMAGE = OpenL3Weights("audio"), OpenL3Weights("image")
NEEDED: dict[Needs, tuple[OpenL3Weights, ...]] = {"audio": (AUDIO,), "video": (IMAGE,), "both": (AUDIO, IMAGE)}


def directory() -> Path:
    """Return the directory of the weights: `openl3` in `$XDG_CACHE_HOME/avscene`, by default `~/.cache/avscene`."""
    return cache_directory() / "openl3"


def openl3_presence(needs: Needs) -> tuple[bool, str]:
    """Return whether the weights for a modality are on this machine, and where or what to do; no network is used."""
    absent = [weights for weights in NEEDED[needs] if not is_present(weights)]
    if not absent:
        return True, "cached"
    files = " and ".join(weights.file for weights in absent)
    return False, f"fetched from {BASE_URL} when first used ({files}), or download them to {directory()}"


def is_present(weights: OpenL3Weights) -> bool:
    """Return whether `weights` can be used without a network; reads no file."""
    return weights.placed.is_file() or (weights.converted.is_file() and weights.lock.is_file())


def load_tensors(
    weights: OpenL3Weights, *, offline: bool, progress: StageProgress = silent
) -> tuple[dict[str, FloatArray], str]:
    """Load the tensors, by their torch names; fetch and convert them if needed.

    Returns:
        The tensors, and the SHA-256 of the published file.

    Raises:
        WeightsError: they cannot be fetched, are damaged, or differ from those that were used first.
    """
    lock = _read_lock(weights)
    if lock is None or not weights.converted.is_file():
        lock = _convert(weights, lock, progress, offline=offline)
    content = _read(weights.converted)
    if hashlib.sha256(content).hexdigest() != lock.converted_sha256:
        raise WeightsError(f"{weights.converted}: was changed (SHA-256); delete it and run again")
    try:
        return dict(load(content)), lock.source_sha256
    except SafetensorError as error:
        raise WeightsError(f"{weights.converted}: is not a safetensors file; delete it and run again") from error


def _read_lock(weights: OpenL3Weights) -> Lock | None:
    if not weights.lock.is_file():
        return None
    try:
        return Lock.model_validate_json(_read(weights.lock))
    except ValidationError as error:
        raise WeightsError(f"{weights.lock}: is damaged; delete it and run again") from error


def _convert(weights: OpenL3Weights, known: Lock | None, progress: StageProgress, *, offline: bool) -> Lock:
    """Convert the published file, a local copy or else fetched, and record its checksums."""
    from avscene.models.openl3.keras import read_keras, unpack_keras_file  # brings torch

    if weights.placed.is_file():
        packed, source = _read(weights.placed), str(weights.placed)
    else:
        packed, source = _fetch(weights, progress, offline=offline), weights.url
    found = hashlib.sha256(packed).hexdigest()
    if known is not None and found != known.source_sha256:
        raise WeightsError(
            f"{source}: its SHA-256 is {found[:12]}..., but the file that was used first had {known.source_sha256[:12]}"
            f"...; delete {weights.lock} to trust the new one"
        )
    content = save(read_keras(unpack_keras_file(packed, source), weights.branch, source))
    lock = Lock(source=source, source_sha256=found, converted_sha256=hashlib.sha256(content).hexdigest())
    _write(weights.converted, content)
    _write(weights.lock, (json.dumps(lock.model_dump(), indent=2) + "\n").encode())
    return lock


def _fetch(weights: OpenL3Weights, progress: StageProgress, *, offline: bool) -> bytes:
    """Download the published file.

    Raises:
        WeightsError: the network is not to be used, the download fails, or the file is larger than MAX_DOWNLOAD.
    """
    if offline:
        raise WeightsError(
            f"{weights.file} is not in {directory()} and --offline is set: run once with a network, or put the file "
            f"there ({weights.url})"
        )
    try:
        return _download(weights.url, progress(f"downloading {weights.file} (MB)"))
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        OSError,
        ValueError,
        ImportError,
    ) as error:  # the last two: an invalid proxy
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise WeightsError(
            f"{weights.url} was not fetched ({reason}); run again, or put the file into {directory()}"
        ) from error


def _download(url: str, progress: Progress) -> bytes:
    parts: list[bytes] = []
    size, deadline = 0, time.monotonic() + ALL_SECONDS
    # Without content encoding: a transport that decompresses gzip would return another file than the published one.
    headers = {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=READ_SECONDS) as response:
        response.raise_for_status()
        if url.startswith("https:") and any(hop.url.scheme != "https" for hop in (*response.history, response)):
            raise httpx.RequestError("was redirected to an unencrypted address")
        for part in response.iter_raw(_CHUNK):
            size += len(part)
            if size > MAX_DOWNLOAD:
                raise httpx.RequestError(f"is larger than {MAX_DOWNLOAD >> 20} MiB")
            if time.monotonic() > deadline:
                raise TimeoutError(f"took longer than {ALL_SECONDS:g} s")
            parts.append(part)
            announced = int(response.headers.get("Content-Length", 0))
            progress(round(size / 1e6), round(max(announced, size) / 1e6))
    return b"".join(parts)


def _read(path: Path) -> bytes:
    """Read a file, at most one byte more than MAX_DOWNLOAD."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_DOWNLOAD + 1)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_complete(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written ({error.strerror}); set XDG_CACHE_HOME to another place"
        ) from error
