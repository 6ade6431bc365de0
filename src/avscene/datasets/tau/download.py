"""A published data set -> a directory: what is missing is fetched, compared with its checksum, and unpacked."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from avscene.datasets.tau import archives, transfer
from avscene.datasets.tau.archives import SHELF, Archive, Collection, Progress, Record, readable, size_of
from avscene.datasets.tau.unpack import unpack
from avscene.errors import DataError, UsageError
from avscene.files import rename_durably

# Bytes unpacked for each byte packed, at most: 24-bit sound shrinks to 0.86, pictures not at all.
GROWTH = {"documentation": 20.0, "meta": 20.0, "examples": 1.1, "audio": 1.2, "video": 1.02}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is still to be done in `directory`: `todo` of the `wanted` archives, `missing` bytes to fetch."""

    directory: Path
    source: str
    wanted: tuple[Archive, ...]
    todo: tuple[Archive, ...]
    missing: int
    discard: bool

    @property
    def needed(self) -> int:
        """Bytes that the disk must have free, by what is known before anything is unpacked."""
        unpacked = sum(int(archive.bytes * GROWTH[archive.kind]) for archive in self.todo)
        if self.discard:
            return unpacked + max((archive.bytes for archive in self.todo), default=0)
        return unpacked + self.missing


def plan(published: Collection, subset: str, directory: Path, *, source: str | None = None, discard: bool) -> Plan:
    """What is to be done to have `subset` of a data set in `directory`.

    Args:
        published: What there is.
        subset: One of `archives.SUBSETS`.
        directory: Where the data set is to be; what is there already is kept.
        source: URL of a folder that holds the archives under their names. By default where they were published.
        discard: Whether each archive goes as soon as it is unpacked: that halves the space.

    Raises:
        UsageError: no such subset, or a source that is not https.
        DataError: the disk has not enough space.
    """
    wanted = published.subset(subset)
    todo = tuple(archive for archive in wanted if not archives.is_unpacked(archive, directory))
    missing = sum(archive.bytes - _fetched(archive, directory) for archive in todo)
    made = Plan(directory, _checked_source(source or published.source), wanted, todo, missing, discard)
    free = free_space(directory)
    if made.needed > free:
        way = "free some, or choose another --output"
        if not discard:
            way += ", or --discard-archives, which needs half"
        raise DataError(
            f"{directory}: {readable(missing)} to fetch and unpack need {readable(made.needed)} and the disk has "
            f"{readable(free)} free; {way}"
        )
    return made


def _fetched(archive: Archive, directory: Path) -> int:
    """Bytes of `archive` that are there already."""
    whole, part = size_of(archive.path(directory)), size_of(archive.part(directory)) or 0
    return min(archive.bytes, part if whole is None else whole)


def _checked_source(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError(f"--source {text!a} is not a URL ({error})") from error
    transfer.check_url(url)
    return text if text.endswith("/") else f"{text}/"


def free_space(directory: Path) -> int:
    """Free bytes on the disk of `directory`, which need not be there yet."""
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def download(made: Plan, progress: Progress, finished: Callable[[Archive, int], None]) -> None:
    """Do what `plan` found to be done; it can be ended at any moment and goes on from there the next time.

    `finished` is told each archive that is now unpacked, and how many files it held.

    Raises:
        DataError: an archive cannot be had, is not what was published or cannot be unpacked; another process is at it.
            What was finished stays.
    """
    with archives.claimed(made.directory), transfer.open_client() as client:
        for archive in made.todo:
            try:
                _fetch(client, httpx.URL(made.source + archive.name), archive, made.directory, progress)
                unpacking = partial(progress, f"{archive.label}: unpacking")
                members = unpack(archive.path(made.directory), made.directory, unpacking)
                archives.write_record(archive, made.directory, Record(md5=archive.md5, members=members))
                if made.discard:
                    archive.path(made.directory).unlink()
            except OSError as error:
                raise DataError(f"{made.directory}: {archive.name}: {error.strerror or error}") from error
            finished(archive, len(members))


def _fetch(client: httpx.Client, url: httpx.URL, archive: Archive, directory: Path, progress: Progress) -> None:
    """Have `archive` in its place and verified. What lies there already counts, whoever put it there."""
    path, part = archive.path(directory), archive.part(directory)
    if path.is_file() and _is_published(path, archive, progress):
        return
    for last in (False, True):  # a part that was begun long ago, or elsewhere, may not fit: then once from the start
        transfer.complete(client, url, archive, part, progress)
        if _is_published(part, archive, progress):
            rename_durably(part, path)
            return
        part.unlink()
        if last:
            raise DataError(
                f"{transfer.shown(url)}: is damaged: its MD5 was not {archive.md5}, twice; "
                f"try later, or another --source; or put the archive into {directory / SHELF}"
            )


def _is_published(path: Path, archive: Archive, progress: Progress) -> bool:
    if size_of(path) != archive.bytes:
        return False
    return archives.md5_of(path, f"{archive.label}: comparing its MD5", progress) == archive.md5
