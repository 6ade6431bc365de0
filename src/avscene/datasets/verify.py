"""Verify a data set on disk: its archives, the files unpacked from them, and the files that its tables name."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avscene.datasets.layout import read_recordings
from avscene.datasets.tau import archives
from avscene.datasets.tau.archives import BLOCK, Archive, format_bytes, size_of
from avscene.datasets.tau.layout import (
    META,
    MediaFinder,
    check_published,
    find_meta,
    is_published,
    is_tau_table,
    read_rows,
)
from avscene.errors import DataError, MediaError
from avscene.media.workers import IsolatedRecording
from avscene.progress import StageProgress
from avscene.storage.urls import is_remote

# "unpacked": the archive was discarded after that; "packed": it has not been unpacked yet.
ArchiveStatus = Literal["whole", "unpacked", "packed", "incomplete", "damaged", "missing"]
GOOD: tuple[ArchiveStatus, ...] = ("whole", "unpacked")
COLUMN_OF = {"audio": "filename_audio", "video": "filename_video"}  # kind of archive -> column of its files
UNKNOWN_LENGTHS = (0, 2**32 - 1)  # in the header of a WAV file that was written to a pipe


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """The status of one archive, with a note for the user."""

    name: str
    status: ArchiveStatus
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of `verify`: `problems` by file; `not_fetched` are kinds of archives that were not downloaded."""

    archives: tuple[ArchiveState, ...]
    not_fetched: tuple[str, ...]
    files: int
    problems: Mapping[str, str]
    deviations: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not self.problems and not self.deviations and all(found.status in GOOD for found in self.archives)


def verify(directory: Path, progress: StageProgress) -> Verification:
    """Read a whole data set, compare it with its checksums if it has some, and open every file that it names.

    If only some kinds of archives were downloaded (audio, for example), files of other kinds do not count as missing.
    Of a data set without archives, in any layout, the files are opened. `progress` counts bytes.

    Raises:
        DataError: there is no data set.
    """
    if not directory.exists():
        raise DataError(f"{directory}: no such file or directory")
    try:
        return _verified(directory, progress)
    except OSError as error:
        raise DataError(f"{directory}: cannot be read ({error.strerror})") from error


def _verified(directory: Path, progress: StageProgress) -> Verification:
    published = [archive for one in archives.published_data_sets().values() for archive in one.archives]
    begun = [archive for archive in published if _is_begun(archive, directory)]
    begun_kinds = {(_data_set(archive), archive.kind) for archive in begun}
    begun_sets = {_data_set(archive) for archive in begun}
    expected = [archive for archive in published if (_data_set(archive), archive.kind) in begun_kinds]
    missed = [archive for archive in published if archive not in expected and _data_set(archive) in begun_sets]
    states = tuple(_check_archive(archive, directory, progress) for archive in expected)

    unpacked = _unpacked(begun, directory)
    problems = dict(_changed(unpacked, directory, progress))
    reported = {_tail(name) for name in problems}
    kinds = {str(archive.kind) for archive in begun}
    named = {name: path for name, path in _named(directory, kinds).items() if name not in reported}
    checked = {directory / name for name in unpacked}
    complete = not kinds or (bool(named) and kinds >= COLUMN_OF.keys())
    problems |= _unreadable({name: path for name, path in named.items() if path not in checked}, progress)
    return Verification(
        archives=states,
        not_fetched=tuple(dict.fromkeys(archive.kind for archive in missed)),
        files=len(checked.union(path or directory / name for name, path in named.items())),
        problems=problems,
        deviations=_deviations(directory) if complete and not problems else (),
    )


def _tail(name: str) -> str:
    """Return the end of a file's path, by which tables name it."""
    return "/".join(name.split("/")[-2:])


def _data_set(archive: Archive) -> str:
    """Return the prefix of an archive's name that all archives of its data set share."""
    return archive.name.partition(".")[0]


def _is_begun(archive: Archive, directory: Path) -> bool:
    places = (archive.path(directory), archive.part(directory), archive.record_path(directory))
    return any(path.is_file() for path in places)


def _check_archive(archive: Archive, directory: Path, progress: StageProgress) -> ArchiveState:
    size, part = size_of(archive.path(directory)), size_of(archive.part(directory))
    if size is not None and size != archive.bytes:
        return ArchiveState(archive.name, "damaged", f"{size} bytes, not {archive.bytes}")
    if size is not None:
        found = archives.md5_of(archive.path(directory), progress(f"{archive.label}: verifying its MD5"))
        if found != archive.md5:
            return ArchiveState(archive.name, "damaged", f"MD5 {found}, not {archive.md5}")
    recorded = archives.read_record(archive, directory) is not None
    if size is not None:
        return ArchiveState(archive.name, "whole") if recorded else ArchiveState(archive.name, "packed", "not unpacked")
    if recorded:
        return ArchiveState(archive.name, "unpacked", "the archive was not kept")
    if part is not None:
        return ArchiveState(archive.name, "incomplete", f"{format_bytes(part)} of {format_bytes(archive.bytes)}")
    return ArchiveState(archive.name, "missing", format_bytes(archive.bytes))


def _unpacked(begun: list[Archive], directory: Path) -> dict[str, set[tuple[int, int]]]:
    """Map every unpacked file to its (bytes, CRC-32) by each archive: some archives have a file of the same name."""
    held: dict[str, set[tuple[int, int]]] = {}
    for record in filter(None, (archives.read_record(archive, directory) for archive in begun)):
        for name, member in record.members.items():
            held.setdefault(name, set()).add(member)
    return held


def _changed(
    unpacked: Mapping[str, set[tuple[int, int]]], directory: Path, progress: StageProgress
) -> Iterator[tuple[str, str]]:
    """Yield the unpacked files that differ from those in the archives."""
    done, total = 0, sum(max(size for size, _ in members) for members in unpacked.values())
    reading = progress("reading unpacked files")
    for name, members in unpacked.items():
        size = size_of(directory / name)
        if size is None:
            yield name, "not found"
        elif all(size != known for known, _ in members):
            yield name, f"has {size} bytes, not {min(members)[0]}"
        elif (size, _crc_of(directory / name)) not in members:
            yield name, "is damaged: its CRC is not that of the archive"
        done += max(size for size, _ in members)
        reading(done, total)


def _crc_of(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _named(directory: Path, kinds: set[str]) -> dict[str, Path | None]:
    """Map the media files that the tables name to their paths; only those of the downloaded `kinds`, if any."""
    meta = directory / META if (directory / META).is_file() else find_meta(directory)
    if meta is not None and is_tau_table(meta):
        finder, rows = MediaFinder(meta, directory), read_rows(meta)
        columns = [column for kind, column in COLUMN_OF.items() if not kinds or kind in kinds]
        return {row[column]: finder.find(row[column]) for _, row in rows for column in columns}
    if kinds:
        return {}  # no tables were downloaded, or they have no scenes, as those of an evaluation set
    examples = read_recordings(directory).examples
    return {example.name: Path(example.path) for example in examples if not is_remote(example.path)}


def _unreadable(named: Mapping[str, Path | None], progress: StageProgress) -> Iterator[tuple[str, str]]:
    """Yield the files that are missing, or whose beginning cannot be decoded."""
    done, total = 0, sum(size_of(path) or 0 for path in named.values() if path is not None)
    opening = progress("opening the files of the tables")
    for name, path in named.items():
        if path is None:
            yield name, "not found"
            continue
        if problem := _problem(path):
            yield name, problem
        done += size_of(path) or 0
        opening(done, total)


def _problem(path: Path) -> str | None:
    try:
        with IsolatedRecording(path):
            pass
    except MediaError as error:
        return str(error).removeprefix(f"{path}: ")
    with path.open("rb") as file:
        head = file.read(12)
    promised = 8 + int.from_bytes(head[4:8], "little")
    if head[:4] == b"RIFF" and promised - 8 not in UNKNOWN_LENGTHS and promised > path.stat().st_size:
        return f"is cut off: {path.stat().st_size} of {promised} bytes"
    return None


def _deviations(directory: Path) -> tuple[str, ...]:
    """Return what else is wrong with a data set that has all its files."""
    try:
        data = read_recordings(directory)
    except DataError as error:
        return (str(error),)
    if not data.is_labelled:
        return ()  # the numbers of an evaluation set are not known
    meta = data.source
    if not (meta.is_file() and is_tau_table(meta) and is_published(meta, directory, read_rows(meta))):
        return ()
    return check_published(data)
