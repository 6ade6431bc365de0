"""A zip file that nobody vouches for -> its files in a directory, each complete and as its checksum says."""

import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from avscene.datasets.tau.archives import BLOCK, SHELF, readable
from avscene.errors import DataError
from avscene.files import replace_when_complete

MAX_MEMBERS = 1_000_000
MAX_GROWTH = 3  # unpacked bytes per packed byte: sound and pictures hardly shrink
SMALL = 100_000_000  # bytes up to which tables and texts may grow by more than that
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)
UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')  # also what other systems than this one act upon
ENCRYPTED = 0x1  # flag of a member


def unpack(archive: Path, directory: Path, progress: Callable[[int, int], None]) -> dict[str, tuple[int, int]]:
    """Unpack `archive` into `directory`; what each file is: path -> (bytes, CRC-32).

    Names, kinds and sizes of all members are checked before the first is written. Each file is written beside its place
    and renamed there once its CRC is right. `progress` is told (bytes unpacked, bytes in all).

    Raises:
        DataError: the archive is damaged; a member would leave `directory`, is a link or a device, or is there twice;
            it would unpack to more than an honest archive does; the disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked(archive, opened)
            total = sum(member.file_size for member in members)
            _check_space(archive, directory, total)
            done = 0
            for member in members:
                _write(opened, member, directory / member.filename)
                done += member.file_size
                progress(done, total)
    except DAMAGE as error:
        raise DataError(f"{archive}: is damaged ({error}); delete it and fetch it again") from error
    except OSError as error:
        raise DataError(f"{archive}: cannot be unpacked into {directory} ({error.strerror or error})") from error
    return {member.filename: (member.file_size, member.CRC) for member in members}


def _checked(archive: Path, opened: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that are files, all of them harmless."""
    members = [member for member in opened.infolist() if not member.is_dir()]
    if len(members) > MAX_MEMBERS:
        raise DataError(f"{archive}: is refused: it holds {len(members)} files")
    seen: set[str] = set()
    for member in opened.infolist():
        if problem := _problem(member, seen):
            raise DataError(f"{archive}: is refused: {member.filename!a} {problem}")
        seen.add(member.filename)
    total, limit = sum(member.file_size for member in members), max(SMALL, MAX_GROWTH * archive.stat().st_size)
    if total > limit:
        raise DataError(f"{archive}: is refused: it would unpack to {readable(total)}")
    return members


def _problem(member: zipfile.ZipInfo, seen: set[str]) -> str | None:
    """Why `member` may not be unpacked."""
    name, kind = PurePosixPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    problem = None
    # PurePosixPath drops "." and doubled slashes; a name that holds some is not what it seems.
    if name.is_absolute() or ".." in name.parts or str(name) != member.filename.rstrip("/"):
        problem = "is no path below the directory"
    elif UNSAFE.search(member.filename) or member.filename != member.filename.encode(errors="replace").decode():
        problem = "is no portable name"
    elif name.parts[0].lower() == SHELF:
        problem = "would be among the archives"
    elif member.filename in seen:
        problem = "is there twice"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        problem = "is a link or a device, not a file"
    elif member.flag_bits & ENCRYPTED:
        problem = "is encrypted"
    return problem


def _check_space(archive: Path, directory: Path, total: int) -> None:
    free = shutil.disk_usage(directory).free
    if total > free:
        raise DataError(f"{archive}: unpacks to {readable(total)} and {directory} has {readable(free)} free")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one member; `zipfile` gives no more bytes than its size says and compares the CRC at their end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replace_when_complete(target, one_writer=True) as part:
        written = 0
        with opened.open(member) as packed, part.open("wb") as file:
            while block := packed.read(BLOCK):
                written += file.write(block)
        if written != member.file_size:
            raise zipfile.BadZipFile(f"{member.filename} has {written} bytes, not {member.file_size}")
