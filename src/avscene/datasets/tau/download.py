"""Download a published data set: fetch its missing archives, verify their checksums and unpack them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from avscene.datasets.tau import archives, transfer
from avscene.datasets.tau.archives import (
    ARCHIVES_FOLDER,
    Archive,
    PublishedDataSet,
    UnpackRecord,
    format_bytes,
    size_of,
)
from avscene.datasets.tau.unpack import unpack
from avscene.errors import DataError, UsageError
from avscene.files import rename_durably
from avscene.progress import StageProgress

# Upper bounds of unpacked bytes per packed byte: zip shrinks 24-bit audio to 0.86 and video not at all.
GROWTH = {"documentation": 20.0, "meta": 20.0, "examples": 1.1, "audio": 1.2, "video": 1.02}


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What remains to be done in `directory`: `remaining` of the `wanted` archives, `missing_bytes` to fetch."""

    directory: Path
    source: str
    wanted: tuple[Archive, ...]
    remaining: tuple[Archive, ...]
    missing_bytes: int
    discard: bool

    @property
    def needed_bytes(self) -> int:
        """Free space that is needed, estimated before anything is unpacked."""
        unpacked = sum(int(archive.bytes * GROWTH[archive.kind]) for archive in self.remaining)
        if self.discard:
            return unpacked + max((archive.bytes for archive in self.remaining), default=0)
        return unpacked + self.missing_bytes


def plan_download(
    published: PublishedDataSet, subset: str, directory: Path, *, source: str | None = None, discard: bool
) -> DownloadPlan:
    """Find out what must be downloaded to have `subset` of a data set in `directory`.

    Args:
        published: The data set.
        subset: One of `archives.SUBSETS`.
        directory: Where to; existing files are kept.
        source: URL of a folder that holds the archives under their names. By default where they were published.
        discard: Whether each archive is deleted as soon as it is unpacked, which halves the space needed.

    Raises:
        UsageError: no such subset, or a source that is not https.
        DataError: the disk has not enough space.
    """
    wanted = published.subset(subset)
    remaining = tuple(archive for archive in wanted if not archives.is_unpacked(archive, directory))
    missing = sum(archive.bytes - _present_bytes(archive, directory) for archive in remaining)
    url = _checked_source(source or published.source)
    plan = DownloadPlan(directory, url, wanted, remaining, missing, discard)
    free = free_space(directory)
    if plan.needed_bytes > free:
        advice = "free some, or choose another --output"
        if not discard:
            advice += ", or --discard-archives, which needs half"
        raise DataError(
            f"{directory}: {format_bytes(missing)} to download and unpack need {format_bytes(plan.needed_bytes)} and "
            f"the disk has {format_bytes(free)} free; {advice}"
        )
    return plan


def _present_bytes(archive: Archive, directory: Path) -> int:
    """Return how many bytes of `archive` are present."""
    complete, part = size_of(archive.path(directory)), size_of(archive.part(directory)) or 0
    return min(archive.bytes, part if complete is None else complete)


def _checked_source(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError(f"--source {text!a} is not a URL ({error})") from error
    transfer.check_url(url)
    return text if text.endswith("/") else f"{text}/"


def free_space(directory: Path) -> int:
    """Return the free bytes on the disk of `directory`, which need not exist yet."""
    existing = directory.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def download(plan: DownloadPlan, progress: StageProgress, on_unpacked: Callable[[Archive, int], None]) -> None:
    """Carry out a plan; it can be interrupted at any moment, and the next call continues.

    Args:
        plan: What `plan_download` returned.
        progress: Counts bytes.
        on_unpacked: Called after each archive with the number of its files.

    Raises:
        DataError: an archive cannot be downloaded, differs from the published one or cannot be unpacked, or another
            process is downloading. Finished archives are kept.
    """
    with archives.download_lock(plan.directory), transfer.open_client() as client:
        for archive in plan.remaining:
            try:
                _fetch(client, httpx.URL(plan.source + archive.name), archive, plan.directory, progress)
                members = unpack(archive.path(plan.directory), plan.directory, progress(f"{archive.label}: unpacking"))
                archives.write_record(archive, plan.directory, UnpackRecord(md5=archive.md5, members=members))
                if plan.discard:
                    archive.path(plan.directory).unlink()
            except OSError as error:
                raise DataError(f"{plan.directory}: {archive.name}: {error.strerror or error}") from error
            on_unpacked(archive, len(members))


def _fetch(client: httpx.Client, url: httpx.URL, archive: Archive, directory: Path, progress: StageProgress) -> None:
    """Put the verified `archive` in its place, unless it is there: the user may have copied it there."""
    path, part = archive.path(directory), archive.part(directory)
    if path.is_file() and _is_published(path, archive, progress):
        return
    for last in (False, True):  # an old part may belong to another version: then once from the start
        transfer.fetch_rest(client, url, archive, part, progress)
        if _is_published(part, archive, progress):
            rename_durably(part, path)
            return
        part.unlink()
        if last:
            raise DataError(
                f"{transfer.without_secrets(url)}: is damaged: its MD5 was not {archive.md5}, twice; "
                f"try later, or another --source; or put the archive into {directory / ARCHIVES_FOLDER}"
            )


def _is_published(path: Path, archive: Archive, progress: StageProgress) -> bool:
    if size_of(path) != archive.bytes:
        return False
    return archives.md5_of(path, progress(f"{archive.label}: verifying its MD5")) == archive.md5
