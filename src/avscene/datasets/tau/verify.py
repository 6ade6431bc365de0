"""A directory -> what is wrong with it: archives, what was unpacked of them, and the files that its tables name."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avscene.datasets.layout import read_dataset
from avscene.datasets.tau import archives
from avscene.datasets.tau.archives import BLOCK, Archive, Progress, readable, size_of
from avscene.datasets.tau.layout import META, MediaFinder, check_published, find_meta, is_published, is_tau, read_rows
from avscene.errors import DataError, MediaError
from avscene.media.container import open_container

State = Literal["whole", "unpacked", "packed", "incomplete", "damaged", "missing"]
FINE: tuple[State, ...] = ("whole", "unpacked")
COLUMN_OF = {"audio": "filename_audio", "video": "filename_video"}  # kind of archive -> what it holds
UNKNOWN_LENGTHS = (0, 2**32 - 1)  # in the header of a wav that was written to a pipe


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """An archive that is there or should be; one that is "unpacked" was discarded after that, a "packed" one waits."""

    name: str
    state: State
    note: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `problems` are by file; `not_fetched` are kinds of archives of which none was begun."""

    archives: tuple[ArchiveState, ...]
    not_fetched: tuple[str, ...]
    files: int
    problems: Mapping[str, str]
    deviations: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing or damaged."""
        return not self.problems and not self.deviations and all(found.state in FINE for found in self.archives)


def verify(directory: Path, progress: Progress) -> Verification:
    """Read all of a data set, compare it with its checksums where it has some, and open every file that it names.

    Where only some kinds of archives were fetched (sound, say), files of other kinds are not missed. A data set without
    archives, of whatever layout, has its files opened.

    Raises:
        DataError: there is no data set.
    """
    if not directory.exists():
        raise DataError(f"{directory}: is not there")
    try:
        return _verified(directory, progress)
    except OSError as error:
        raise DataError(f"{directory}: cannot be read ({error.strerror})") from error


def _verified(directory: Path, progress: Progress) -> Verification:
    published = [archive for one in archives.collections().values() for archive in one.archives]
    begun = [archive for archive in published if _is_begun(archive, directory)]
    expected = [one for one in published if any(_set(one) == _set(other) and one.kind == other.kind for other in begun)]
    missed = [one for one in published if one not in expected and _set(one) in map(_set, begun)]
    states = tuple(_state(archive, directory, progress) for archive in expected)

    unpacked = _unpacked(begun, directory)
    problems = dict(_changed(unpacked, directory, progress))
    known = {_tail(name) for name in problems}
    kinds = {str(archive.kind) for archive in begun}
    named = {name: path for name, path in _named(directory, kinds).items() if name not in known}
    sure = {directory / name for name in unpacked}
    complete = not kinds or (bool(named) and kinds >= COLUMN_OF.keys())
    problems |= _unreadable({name: path for name, path in named.items() if path not in sure}, progress)
    return Verification(
        archives=states,
        not_fetched=tuple(dict.fromkeys(archive.kind for archive in missed)),
        files=len(sure.union(path or directory / name for name, path in named.items())),
        problems=problems,
        deviations=_deviations(directory) if complete and not problems else (),
    )


def _tail(name: str) -> str:
    """The end of a file's path by which tables name it."""
    return "/".join(name.split("/")[-2:])


def _set(archive: Archive) -> str:
    """The part of an archive's name that all of its data set share."""
    return archive.name.partition(".")[0]


def _is_begun(archive: Archive, directory: Path) -> bool:
    places = (archive.path(directory), archive.part(directory), archive.record_path(directory))
    return any(path.is_file() for path in places)


def _state(archive: Archive, directory: Path, progress: Progress) -> ArchiveState:
    size, part = size_of(archive.path(directory)), size_of(archive.part(directory))
    if size is not None and size != archive.bytes:
        return ArchiveState(archive.name, "damaged", f"{size} bytes, not {archive.bytes}")
    if size is not None:
        found = archives.md5_of(archive.path(directory), f"{archive.label}: comparing its MD5", progress)
        if found != archive.md5:
            return ArchiveState(archive.name, "damaged", f"MD5 {found}, not {archive.md5}")
    recorded = archives.read_record(archive, directory) is not None
    if size is not None:
        return ArchiveState(archive.name, "whole") if recorded else ArchiveState(archive.name, "packed", "not unpacked")
    if recorded:
        return ArchiveState(archive.name, "unpacked", "the archive was not kept")
    if part is not None:
        return ArchiveState(archive.name, "incomplete", f"{readable(part)} of {readable(archive.bytes)}")
    return ArchiveState(archive.name, "missing", readable(archive.bytes))


def _unpacked(begun: list[Archive], directory: Path) -> dict[str, set[tuple[int, int]]]:
    """Every file that archives held -> (bytes, CRC-32) by any of them: some hold a file of the same name."""
    held: dict[str, set[tuple[int, int]]] = {}
    for record in filter(None, (archives.read_record(archive, directory) for archive in begun)):
        for name, member in record.members.items():
            held.setdefault(name, set()).add(member)
    return held


def _changed(
    unpacked: Mapping[str, set[tuple[int, int]]], directory: Path, progress: Progress
) -> Iterator[tuple[str, str]]:
    """Files that are not what the archives held."""
    done, total = 0, sum(max(size for size, _ in members) for members in unpacked.values())
    for name, members in unpacked.items():
        size = size_of(directory / name)
        if size is None:
            yield name, "is not there"
        elif all(size != known for known, _ in members):
            yield name, f"has {size} bytes, not {min(members)[0]}"
        elif (size, _crc_of(directory / name)) not in members:
            yield name, "is damaged: its CRC is not that of the archive"
        done += max(size for size, _ in members)
        progress("reading what was unpacked", done, total)


def _crc_of(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _named(directory: Path, kinds: set[str]) -> dict[str, Path | None]:
    """The media that the data set's tables name, and where they are; of `kinds` that were fetched, if any were."""
    meta = directory / META if (directory / META).is_file() else find_meta(directory)
    if meta is not None and is_tau(meta):
        finder, rows = MediaFinder(meta, directory), read_rows(meta)
        columns = [column for kind, column in COLUMN_OF.items() if not kinds or kind in kinds]
        return {row[column]: finder.find(row[column]) for _, row in rows for column in columns}
    if kinds:
        return {}  # none of the tables was fetched, or they name no scenes, as those of an evaluation set
    return {example.name: example.path for example in read_dataset(directory).examples}


def _unreadable(named: Mapping[str, Path | None], progress: Progress) -> Iterator[tuple[str, str]]:
    """Files that are not there, or of which not even the beginning makes sense."""
    done, total = 0, sum(size_of(path) or 0 for path in named.values() if path is not None)
    for name, path in named.items():
        if path is None:
            yield name, "is not there"
            continue
        if problem := _problem(path):
            yield name, problem
        done += size_of(path) or 0
        progress("opening what the tables name", done, total)


def _problem(path: Path) -> str | None:
    try:
        with open_container(path):
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
    """What else is wrong with a data set all of whose files are there."""
    try:
        data = read_dataset(directory)
    except DataError as error:
        return (str(error),)
    meta = data.source
    if not (meta.is_file() and is_tau(meta) and is_published(meta, directory, read_rows(meta))):
        return ()
    return check_published(data)
