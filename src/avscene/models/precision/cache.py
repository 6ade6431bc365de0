"""Keep what was measured on this machine in small JSON files of the user's cache directory."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from avscene.errors import DataError
from avscene.files import cache_directory, read_bytes, write_bytes

Measured = TypeVar("Measured", bound=BaseModel)


def cache_path(kind: str, key: Sequence[str]) -> Path:
    """Return the file of what was measured under `key`: `kind` and a checksum of the key name it."""
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
    return cache_directory() / "precision" / f"{kind}-{digest}.json"


def read_measured(path: Path, model: type[Measured]) -> Measured | None:
    """Return what `path` holds; None if it is missing, unreadable or anything else than a valid `model`."""
    try:
        return model.model_validate_json(read_bytes(path))
    except (DataError, ValidationError):
        return None


def write_measured(path: Path, value: BaseModel) -> None:
    """Replace the file as a whole; a cache that cannot be written is not used."""
    with suppress(DataError):
        write_bytes(path, value.model_dump_json(indent=2).encode() + b"\n")
