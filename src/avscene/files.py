"""Read bounded text files, and write files and directories so that each appears complete or not at all."""

import codecs
import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from avscene.errors import DataError, did_you_mean

# Bytes: a million segments of ten scenes in full precision, thirty times the test part of TAU. Reading a table takes
# about five times its size in memory.
LIMIT = 256 * 2**20
BINARY_MARKS = ("\0", "\x1a", "\x1b")  # control characters that no table of text holds
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)  # of some network file systems
PIPE_PATIENCE = 10.0  # seconds in which a program must open a pipe that is read
_LISTED = 10_000  # names of a folder that are compared with a mistyped one
_KEPT = 50  # characters of a name in its temporary name, which a file system may limit to 255 bytes


def read_text(path: Path) -> str:
    """Read a text file of at most `LIMIT` bytes: UTF-8 with or without a byte order mark, or UTF-16 with one.

    Other encodings cannot be distinguished reliably, and guessing wrongly would change names, so they are refused.

    Raises:
        DataError: the file is missing, unreadable, too large (checked before it is read) or not text.
    """
    content = read_bytes(path)
    encoding, name = ("utf-16", "UTF-16") if content.startswith(UTF_16_MARKS) else ("utf-8-sig", "UTF-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise DataError(f"{path}, line {line}: not {name} text (byte 0x{byte:02x}); save it as UTF-8") from error
    for mark in BINARY_MARKS:
        if mark in text:
            line = text.count("\n", 0, text.index(mark)) + 1
            raise DataError(f"{path}, line {line}: not text (character {mark!r})")
    return text


def read_bytes(path: Path) -> bytes:
    """Read a file of at most `LIMIT` bytes, or what a program writes to a pipe.

    Raises:
        DataError: the file is missing, unreadable or too large (checked before it is read), or no program writes to it.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            state = os.fstat(file.fileno())
            size, content = state.st_size, b""  # the size of a pipe is not known
            if stat.S_ISFIFO(state.st_mode):
                content = _wait_for_writer(path, file.fileno())
            if size <= LIMIT:
                content += file.read(max(0, LIMIT + 1 - len(content)))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if max(size, len(content)) > LIMIT:
        raise DataError(f"{path}: larger than {LIMIT >> 20} MiB, the most that is read; split it into several tables")
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; to open a pipe would otherwise wait until a program writes to it, without a limit."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    return descriptor


def _wait_for_writer(path: Path, pipe: int) -> bytes:
    """Wait until a program has a pipe open, and return what could be read until then.

    Raises:
        DataError: none opens it within `PIPE_PATIENCE`.
    """
    os.set_blocking(pipe, False)
    deadline = time.monotonic() + PIPE_PATIENCE
    content = b""
    while not content:
        try:
            content = os.read(pipe, 2**16)  # empty as long as no program has it open
        except BlockingIOError:
            break
        if not content and time.monotonic() > deadline:
            raise DataError(f"{path}: is a pipe, and no program writes to it")
        time.sleep(0 if content else 0.02)
    os.set_blocking(pipe, True)
    return content


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8; the file is replaced as a whole, and its folder is made if need be.

    Raises:
        DataError: the file cannot be written, or `text` cannot be encoded (a lone surrogate).
    """
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: cannot be written: a name in it is not valid text") from error
    write_bytes(path, content)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content`; the file is replaced as a whole, and its folder is made if need be.

    A link is kept and the file that it leads to is replaced. A device or pipe is written to directly.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = link_target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_complete(target) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error


def link_target(path: Path) -> Path:
    """Return the file that a symbolic link leads to, which need not exist; `path` itself if it is no link."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114  # never raises


@contextmanager
def replace_when_complete(path: Path, *, one_writer: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside `path`, which replaces `path` when the block succeeds and is removed on any error.

    A killed process leaves its temporary file behind. With `one_writer` that file has a fixed name, so that the next
    run overwrites it: for large files, and only where no two processes write `path` at the same time.

    Raises:
        OSError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.part") if one_writer else create_beside(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        with suppress(OSError):  # it was renamed, or never made
            partial.unlink()


def create_beside(path: Path) -> Path:
    """Create an empty file with an unused hidden name in the folder of `path`.

    Raises:
        OSError: it cannot be created.
    """
    partial = path.with_name(f".{path.name[:_KEPT]}.{secrets.token_hex(4)}.part")
    partial.touch(exist_ok=False)  # unlike tempfile's files, it gets the usual permissions
    return partial


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `directory`, which takes that name when the block succeeds.

    It is removed on any error. The folder above is made if need be.

    Raises:
        OSError: it cannot be written, or `directory` already exists and is not empty.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{directory.name[:_KEPT]}.", dir=directory.parent))
    try:
        yield partial
        partial.chmod(0o755)
        partial.replace(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def moved_aside(directory: Path) -> Iterator[None]:
    """Give a directory that exists another name while the block writes one in its place; remove it at the end.

    After an error it has its name again, unless the new one is complete.

    Raises:
        DataError: it cannot be renamed.
    """
    aside = directory.with_name(f".{directory.name[:_KEPT]}.{secrets.token_hex(4)}.old")
    try:
        directory.replace(aside)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise DataError(f"{directory}: cannot be replaced: {error.strerror or error}") from error
    try:
        yield
    except BaseException:
        if not directory.exists():
            aside.replace(directory)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def rename_durably(partial: Path, path: Path) -> None:
    """Rename a complete file to `path` once its content has reached the disk, so that it survives a power failure."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def lock(path: Path, *, required: bool = True) -> Iterator[None]:
    """Hold the lock file `path`, which is made if need be; the lock ends with the process, however that ends.

    Args:
        path: The lock file.
        required: If False, go on without a lock where the file system has none.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be made, or the file system has no locks and one is `required`.
    """
    from filelock import FileLock, Timeout  # takes a while to import

    held = FileLock(path, timeout=0, thread_local=False)  # another thread may release it
    try:
        held.acquire()
    except Timeout as error:
        raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK), str(path)) from error
    except OSError as error:
        if required or error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        held.release()


def did_you_mean_path(path: str) -> str:
    """Return `; did you mean PATH?` for a path that does not exist, if its folder has a similar name, or nothing."""
    stripped = path.rstrip(os.sep)
    folder, name = os.path.split(stripped)
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry, _ in zip(entries, range(_LISTED), strict=False)]
    except (OSError, ValueError):
        return ""
    return did_you_mean(name, names).replace("mean ", f"mean {os.path.join(folder, '')}", 1)  # noqa: PTH118


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_directory() -> Path:
    """Return the directory for what can be made again: `$XDG_CACHE_HOME/avscene`, by default `~/.cache/avscene`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "avscene"


def data_directory() -> Path:
    """Return the directory for what is to be kept: `$XDG_DATA_HOME/avscene`, by default `~/.local/share/avscene`."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "avscene"
