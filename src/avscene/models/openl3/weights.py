"""OpenL3's published weights: fetched once, converted once, pinned from then on. Imports no torch.

The publishers give no checksum. What is fetched first is trusted, and its SHA-256 goes into a lock beside the converted
file: from then on nothing else passes for it, and every head that is trained on it bears it.
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
from avscene.records import FloatArray, Needs

BASE_URL = "https://github.com/marl/openl3/raw/models"  # CC BY 4.0, Cramer et al.
MAX_DOWNLOAD = 32 << 20  # bytes; a published file has about 17 MB
READ_SECONDS, ALL_SECONDS = 30.0, 900.0  # without a byte; for the whole file
_CHUNK = 1 << 16


class Lock(BaseModel):
    """What the first use of a published file recorded: where it came from, its SHA-256 and that of the conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    source_sha256: str
    converted_sha256: str


@dataclass(frozen=True, slots=True)
class PublishedWeights:
    """One of OpenL3's networks, trained together with log-mels of 256 bands on videos of that content."""

    branch: Literal["audio", "image"]
    content: Literal["env", "music"] = "env"

    @property
    def file(self) -> str:
        """Its published name."""
        return f"openl3_{self.branch}_mel256_{self.content}-v0_4_0.h5.gz"

    @property
    def url(self) -> str:
        """Where it is published."""
        return f"{BASE_URL}/{self.file}"

    @property
    def placed(self) -> Path:
        """Where a copy that was fetched by other means is to be put."""
        return directory() / self.file

    @property
    def converted(self) -> Path:
        """Where the converted tensors are kept."""
        return directory() / self.file.replace(".h5.gz", ".safetensors")

    @property
    def lock(self) -> Path:
        """Where its checksums are kept."""
        return directory() / self.file.replace(".h5.gz", ".lock.json")


AUDIO, IMAGE = PublishedWeights("audio"), PublishedWeights("image")
NEEDED: dict[Needs, tuple[PublishedWeights, ...]] = {"audio": (AUDIO,), "video": (IMAGE,), "both": (AUDIO, IMAGE)}


def directory() -> Path:
    """Where the weights are kept: `openl3` under `$XDG_CACHE_HOME/avscene`, by default `~/.cache/avscene`."""
    return cache_directory() / "openl3"


def openl3_presence(needs: Needs) -> tuple[bool, str]:
    """Whether the networks that `needs` asks for are here, and if not, what to do about it. No network."""
    absent = [weights for weights in NEEDED[needs] if not is_here(weights)]
    if not absent:
        return True, "cached"
    files = " and ".join(weights.file for weights in absent)
    return False, f"fetched from {BASE_URL} when first used ({files}), or put there by hand: {directory()}"


def is_here(weights: PublishedWeights) -> bool:
    """Whether `weights` can be used without a network; reads no file."""
    return weights.placed.is_file() or (weights.converted.is_file() and weights.lock.is_file())


def tensors(weights: PublishedWeights, *, offline: bool) -> tuple[dict[str, FloatArray], str]:
    """The tensors by their torch names, and the SHA-256 of the published file that they come from.

    Raises:
        WeightsError: they are neither here nor to be had, damaged, or not those that were used first.
    """
    lock = _read_lock(weights)
    if lock is None or not weights.converted.is_file():
        lock = _convert(weights, lock, offline=offline)
    content = _read(weights.converted)
    if hashlib.sha256(content).hexdigest() != lock.converted_sha256:
        raise WeightsError(f"{weights.converted}: was altered (SHA-256); delete it and run again")
    try:
        return dict(load(content)), lock.source_sha256
    except SafetensorError as error:
        raise WeightsError(f"{weights.converted}: is not a safetensors file; delete it and run again") from error


def _read_lock(weights: PublishedWeights) -> Lock | None:
    if not weights.lock.is_file():
        return None
    try:
        return Lock.model_validate_json(_read(weights.lock))
    except ValidationError as error:
        raise WeightsError(f"{weights.lock}: is damaged; delete it and run again") from error


def _convert(weights: PublishedWeights, known: Lock | None, *, offline: bool) -> Lock:
    """Convert the published file, from where it was put or else fetched, and record its checksums."""
    from avscene.models.openl3.keras import read_keras, unpack  # brings torch

    if weights.placed.is_file():
        packed, source = _read(weights.placed), str(weights.placed)
    else:
        packed, source = fetch(weights, offline=offline), weights.url
    found = hashlib.sha256(packed).hexdigest()
    if known is not None and found != known.source_sha256:
        raise WeightsError(
            f"{source}: its SHA-256 is {found[:12]}..., but the file that was used first had {known.source_sha256[:12]}"
            f"...; delete {weights.lock} to trust the new one"
        )
    content = save(read_keras(unpack(packed, source), weights.branch, source))
    lock = Lock(source=source, source_sha256=found, converted_sha256=hashlib.sha256(content).hexdigest())
    _write(weights.converted, content)
    _write(weights.lock, (json.dumps(lock.model_dump(), indent=2) + "\n").encode())
    return lock


def fetch(weights: PublishedWeights, *, offline: bool) -> bytes:
    """The published file, whole.

    Raises:
        WeightsError: no network is asked, or it does not answer with a file of at most MAX_DOWNLOAD.
    """
    if offline:
        raise WeightsError(
            f"{weights.file} is not in {directory()} and no network is asked: run once without --offline, or put the "
            f"file there ({weights.url})"
        )
    try:
        return _download(weights.url)
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        OSError,
        ValueError,
        ImportError,
    ) as error:  # the last two: a proxy's name
        said = " ".join(str(error).split())[:150] or type(error).__name__
        raise WeightsError(
            f"{weights.url} was not fetched ({said}); run again, or put the file into {directory()}"
        ) from error


def _download(url: str) -> bytes:
    parts: list[bytes] = []
    size, deadline = 0, time.monotonic() + ALL_SECONDS
    # Asked for as it is: transports that unpack gzip on the way would hand over another file than the published one.
    headers = {"Accept-Encoding": "identity"}
    with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=READ_SECONDS) as response:
        response.raise_for_status()
        if url.startswith("https:") and any(hop.url.scheme != "https" for hop in (*response.history, response)):
            raise httpx.RequestError("was sent on without encryption")
        for part in response.iter_raw(_CHUNK):
            size += len(part)
            if size > MAX_DOWNLOAD:
                raise httpx.RequestError(f"more than {MAX_DOWNLOAD >> 20} MiB came")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not done within {ALL_SECONDS:g} s")
            parts.append(part)
    return b"".join(parts)


def _read(path: Path) -> bytes:
    """The file's bytes, up to a little more than any file here has."""
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
