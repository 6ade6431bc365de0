"""Unpack an untrusted zip file safely; each file appears complete, with the right checksum, or not at all."""

import lzma
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from avscene.datasets.tau.archives import ARCHIVES_FOLDER, BLOCK, format_bytes
from avscene.errors import DataError
from avscene.files import replace_when_complete
from avscene.progress import Progress

MAX_MEMBERS = 1_000_000
MAX_GROWTH = 3  # unpacked bytes per packed byte: audio and video hardly shrink
SMALL = 100_000_000  # unpacked bytes up to which any growth is allowed: tables and texts shrink well
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)
UNSAFE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')  # characters with a meaning on some operating system
ENCRYPTED = 0x1  # bit of a member's flags


def unpack(archive: Path, directory: Path, progress: Progress) -> dict[str, tuple[int, int]]:
    """Unpack `archive` into `directory`.

    Names, kinds and sizes of all members are checked before the first is written. Each file takes its name once it is
    complete and its CRC is right. `progress` counts bytes.

    Returns:
        For the path of each file (bytes, CRC-32).

    Raises:
        DataError: the archive is damaged; a member would leave `directory`, is a link or a device, or is repeated;
            it would unpack to more than any valid archive does; the disk is full.
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
    """Return the members that are files, once all members have proved harmless."""
    members = [member for member in opened.infolist() if not member.is_dir()]
    if len(members) > MAX_MEMBERS:
        raise DataError(f"{archive}: refused: it holds {len(members)} files")
    earlier: set[str] = set()
    for member in opened.infolist():
        if problem := _problem(member, earlier):
            raise DataError(f"{archive}: refused: {member.filename!a} {problem}")
        earlier.add(member.filename)
    total, limit = sum(member.file_size for member in members), max(SMALL, MAX_GROWTH * archive.stat().st_size)
    if total > limit:
        raise DataError(f"{archive}: refused: it would unpack to {format_bytes(total)}")
    return members


def _problem(member: zipfile.ZipInfo, earlier: set[str]) -> str | None:
    """Return why `member` must not be unpacked, or None."""
    name, kind = PurePosixPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    problem = None
    # PurePosixPath drops "." and doubled slashes, so a name with these differs from its path.
    if name.is_absolute() or ".." in name.parts or str(name) != member.filename.rstrip("/"):
        problem = "is not a path below the directory"
    elif UNSAFE.search(member.filename) or member.filename != member.filename.encode(errors="replace").decode():
        problem = "is not a portable name"
    elif name.parts[0].lower() == ARCHIVES_FOLDER:
        problem = "would be among the archives"
    elif member.filename in earlier:
        problem = "is repeated"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        problem = "is a link or a device, not a file"
    elif member.flag_bits & ENCRYPTED:
        problem = "is encrypted"
    return problem


def _check_space(archive: Path, directory: Path, total: int) -> None:
    free = shutil.disk_usage(directory).free
    if total > free:
        raise DataError(f"{archive}: unpacks to {format_bytes(total)} and {directory} has {format_bytes(free)} free")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Unpack one member; `zipfile` reads no more bytes than its size and compares the CRC at the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replace_when_complete(target, one_writer=True) as part:
        written = 0
        with opened.open(member) as packed, part.open("wb") as file:
            while block := packed.read(BLOCK):
                written += file.write(block)
        if written != member.file_size:
            raise zipfile.BadZipFile(f"{member.filename} has {written} bytes, not {member.file_size}")
