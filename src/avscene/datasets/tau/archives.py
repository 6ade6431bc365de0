"""Describe the published archives of TAU Urban Audio-Visual Scenes 2021 and record what was unpacked of them."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from avscene.errors import DataError, UsageError
from avscene.files import lock, write_text
from avscene.progress import Progress

ArchiveKind = Literal["documentation", "meta", "examples", "audio", "video"]

SUBSETS: dict[str, tuple[ArchiveKind, ...]] = {
    "examples": ("documentation", "examples"),
    "meta": ("documentation", "meta"),
    "audio": ("documentation", "meta", "audio"),
    "video": ("documentation", "meta", "video"),
    "all": ("documentation", "meta", "examples", "audio", "video"),
}
ARCHIVES_FOLDER = "archives"  # in a data set: its archives, and the records of what was unpacked
BLOCK = 2**20  # bytes read or written at once


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Archive(_FrozenModel):
    """A published zip file: its name, length in bytes and MD5."""

    kind: ArchiveKind
    name: str
    bytes: int
    md5: str

    @property
    def label(self) -> str:
        """Its name without the prefix that all archives of a data set share, such as audio.3.zip."""
        return self.name.partition(".")[2]

    def path(self, directory: Path) -> Path:
        """Return the path of the complete archive in the directory of a data set."""
        return directory / ARCHIVES_FOLDER / self.name

    def part(self, directory: Path) -> Path:
        """Return the path of the archive while it is being downloaded."""
        return directory / ARCHIVES_FOLDER / f"{self.name}.part"

    def record_path(self, directory: Path) -> Path:
        """Return the path of the record of what was unpacked."""
        return directory / ARCHIVES_FOLDER / f"{self.name}.unpacked.json"


class UnpackRecord(_FrozenModel):
    """The content of a verified archive, written when all of it is unpacked: path -> (bytes, CRC-32)."""

    md5: str
    members: dict[str, tuple[int, int]]


class PublishedDataSet(_FrozenModel):
    """A published data set: its archives and the URL of their folder."""

    title: str
    page: str
    source: str
    archives: tuple[Archive, ...]

    def subset(self, name: str) -> tuple[Archive, ...]:
        """Return the archives of one of `SUBSETS`.

        Raises:
            UsageError: no such subset, or this data set does not have it.
        """
        if name not in SUBSETS:
            raise UsageError(f"--subset {name!r} is not one of {', '.join(SUBSETS)}")
        if name != "all" and name not in {archive.kind for archive in self.archives}:
            raise UsageError(f"{self.title}: has no {name}")
        return tuple(archive for archive in self.archives if archive.kind in SUBSETS[name])


@cache
def published_data_sets() -> dict[str, PublishedDataSet]:
    """Return the data sets that can be downloaded, by name."""
    text = (files("avscene.datasets.tau") / "tau_2021.json").read_text(encoding="utf-8")
    return {name: PublishedDataSet.model_validate(values) for name, values in json.loads(text).items()}


def published_data_set(name: str) -> PublishedDataSet:
    """Return the data set of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in published_data_sets():
        raise UsageError(f"data set {name!r} is not one of {', '.join(published_data_sets())}")
    return published_data_sets()[name]


def data_set_name_of(archive_name: str) -> str:
    """Return the name of the data set that has an archive of this name."""
    return next(
        name
        for name, published in published_data_sets().items()
        if any(archive.name == archive_name for archive in published.archives)
    )


def read_record(archive: Archive, directory: Path) -> UnpackRecord | None:
    """Read the record of `archive`; None if there is none, or if it is damaged or that of another archive."""
    try:
        record = UnpackRecord.model_validate_json(archive.record_path(directory).read_bytes())
    except (OSError, ValidationError):
        return None
    return record if record.md5 == archive.md5 else None


def write_record(archive: Archive, directory: Path, record: UnpackRecord) -> None:
    """Write the record of `archive`; the file appears complete or not at all."""
    write_text(archive.record_path(directory), record.model_dump_json())


def is_unpacked(archive: Archive, directory: Path) -> bool:
    """Return whether all files of `archive` are present, by name and length."""
    record = read_record(archive, directory)
    if record is None:
        return False
    return all(size_of(directory / name) == size for name, (size, _) in record.members.items())


def size_of(path: Path) -> int | None:
    """Return the length of a file in bytes, or None if there is no such file."""
    return path.stat().st_size if path.is_file() else None


def md5_of(path: Path, progress: Progress) -> str:
    """Compute the MD5 of a file, in hexadecimal; `progress` counts bytes.

    Archives are published with it. It protects against damage, not against malice.
    """
    digest, size, done = hashlib.md5(usedforsecurity=False), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            progress(done, size)
    return digest.hexdigest()


def format_bytes(size: int) -> str:
    """Format a number of bytes, such as 107.7 GB."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


@contextmanager
def download_lock(directory: Path) -> Iterator[None]:
    """Keep other processes from downloading into `directory` meanwhile, where the file system has locks.

    Raises:
        DataError: another process does, or the directory cannot be made.
    """
    path = directory / ARCHIVES_FOLDER / ".lock"
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(path, required=False))
        except BlockingIOError:
            raise DataError(f"{directory}: another process is downloading into it; wait for it or end it") from None
        except OSError as error:
            raise DataError(f"{directory}: cannot be written ({error.strerror})") from error
        yield
