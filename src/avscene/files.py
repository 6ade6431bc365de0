"""Text files, whole or not at all: bounded text in, finished documents out."""

import codecs
import os
from contextlib import suppress
from pathlib import Path

from avscene.errors import DataError

# Bytes: a million segments of ten scenes in full precision, thirty times TAU's test part. To read a table takes about
# five times its size in memory.
LIMIT = 256 * 2**20
BINARY_MARKS = ("\0", "\x1a", "\x1b")  # control characters that no table of text holds
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path) -> str:
    """The text of a file of at most `LIMIT` bytes: UTF-8 with or without a byte order mark, or UTF-16 with one.

    Other encodings look alike, so that reading one as another would change names in silence: they are refused.

    Raises:
        DataError: the file is missing, unreadable, too large (told before it is read) or not text.
    """
    content = _read_bytes(path)
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


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > LIMIT else file.read(LIMIT + 1)  # a pipe does not tell its size
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if max(size, len(content)) > LIMIT:
        raise DataError(f"{path}: larger than {LIMIT >> 20} MiB, the most that is read; split it into several tables")
    return content


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 `text` beside `path` and rename it there, so that no reader meets half a file.

    Raises:
        DataError: the file cannot be written, or `text` holds what UTF-8 cannot (a lone surrogate).
    """
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: cannot be written: a name in it is not valid text") from error
    write_bytes(path, content)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write `content` beside `path` and rename it there, so that no reader meets half a file.

    Raises:
        DataError: the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it has been renamed, or was never made
            part.unlink()
