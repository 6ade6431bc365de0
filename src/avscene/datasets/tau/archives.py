"""The published archives of TAU Urban Audio-Visual Scenes 2021: what they must be, and where they lie."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from avscene.errors import DataError, UsageError
from avscene.files import lock, write_text

Kind = Literal["documentation", "meta", "examples", "audio", "video"]
Progress = Callable[[str, int, int], None]  # what is being done; bytes done, bytes in all

SUBSETS: dict[str, tuple[Kind, ...]] = {
    "examples": ("documentation", "examples"),
    "meta": ("documentation", "meta"),
    "audio": ("documentation", "meta", "audio"),
    "video": ("documentation", "meta", "video"),
    "all": ("documentation", "meta", "examples", "audio", "video"),
}
SHELF = "archives"  # the folder of a data set that holds its archives and the records of what they held
BLOCK = 2**20  # bytes read or written at once


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Archive(_Values):
    """A published zip file: its name, length in bytes and MD5."""

    kind: Kind
    name: str
    bytes: int
    md5: str

    @property
    def label(self) -> str:
        """Its name without what all of a data set's archives share: audio.3.zip."""
        return self.name.partition(".")[2]

    def path(self, directory: Path) -> Path:
        """Where it lies in a data set's directory, whole."""
        return directory / SHELF / self.name

    def part(self, directory: Path) -> Path:
        """Where it grows while it is fetched."""
        return directory / SHELF / f"{self.name}.part"

    def record_path(self, directory: Path) -> Path:
        """Where it is recorded what it held."""
        return directory / SHELF / f"{self.name}.unpacked.json"


class Record(_Values):
    """What a verified archive held, written when all of it is unpacked: path -> (bytes, CRC-32)."""

    md5: str
    members: dict[str, tuple[int, int]]


class Collection(_Values):
    """A data set as it is published: where, and its archives."""

    title: str
    page: str
    source: str
    archives: tuple[Archive, ...]

    def subset(self, name: str) -> tuple[Archive, ...]:
        """Its archives of one of `SUBSETS`.

        Raises:
            UsageError: no such subset, or this data set does not have it.
        """
        if name not in SUBSETS:
            raise UsageError(f"--subset {name!r} is not one of {', '.join(SUBSETS)}")
        if name != "all" and name not in {archive.kind for archive in self.archives}:
            raise UsageError(f"{self.title}: has no {name}")
        return tuple(archive for archive in self.archives if archive.kind in SUBSETS[name])


@cache
def collections() -> dict[str, Collection]:
    """The data sets that can be fetched, by the names that users give."""
    text = (files("avscene.datasets.tau") / "tau_2021.json").read_text(encoding="utf-8")
    return {name: Collection.model_validate(values) for name, values in json.loads(text).items()}


def collection(name: str) -> Collection:
    """The data set of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in collections():
        raise UsageError(f"data set {name!r} is not one of {', '.join(collections())}")
    return collections()[name]


def owner(archive_name: str) -> str:
    """The data set that an archive of this name belongs to."""
    return next(
        name for name, one in collections().items() if any(archive.name == archive_name for archive in one.archives)
    )


def read_record(archive: Archive, directory: Path) -> Record | None:
    """What `archive` held, if it was unpacked in `directory`; a record of another archive, or a torn one, is none."""
    try:
        record = Record.model_validate_json(archive.record_path(directory).read_bytes())
    except (OSError, ValidationError):
        return None
    return record if record.md5 == archive.md5 else None


def write_record(archive: Archive, directory: Path, record: Record) -> None:
    """Record what `archive` held; the file appears complete or not at all."""
    write_text(archive.record_path(directory), record.model_dump_json())


def is_unpacked(archive: Archive, directory: Path) -> bool:
    """Whether all that `archive` held is there, by name and length."""
    record = read_record(archive, directory)
    if record is None:
        return False
    return all(size_of(directory / name) == size for name, (size, _) in record.members.items())


def size_of(path: Path) -> int | None:
    """Length of a file in bytes; None if it is not there, or no file."""
    return path.stat().st_size if path.is_file() else None


def md5_of(path: Path, what: str, progress: Progress) -> str:
    """MD5 of a file in hexadecimal: by it archives are published. It guards against damage, not against malice."""
    digest, size, done = hashlib.md5(usedforsecurity=False), path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            progress(what, done, size)
    return digest.hexdigest()


def readable(size: int) -> str:
    """A number of bytes for people: 107.7 GB."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Keep other processes from fetching into `directory` meanwhile, where the file system has locks.

    Raises:
        DataError: another process does, or the directory cannot be made.
    """
    path = directory / SHELF / ".lock"
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(path, required=False))
        except BlockingIOError:
            raise DataError(f"{directory}: another process is fetching into it; wait for it or end it") from None
        except OSError as error:
            raise DataError(f"{directory}: cannot be written ({error.strerror})") from error
        yield
