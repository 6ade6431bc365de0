"""Text files, whole or not at all: delimited tables in with their line numbers, finished documents out."""

import csv
import io
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from avscene.errors import DataError

BINARY_MARKS = ("\0", "\x1a", "\x1b")  # control characters that no table of text holds


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row and the line of the file, from 1, on which it ends."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Delimited:
    """A delimited file: its name for messages, its columns in file order, and its rows (at least one)."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def fail(self, row: Row, column: str, problem: str) -> DataError:
        """The error that says where `problem` is, for the caller to raise."""
        return DataError(f"{self.path}, line {row.line}, column {column}: {problem}")


def read_delimited(path: str | Path) -> Delimited:
    r"""Read a file with a header, separated by tabs if the header has one and by commas otherwise.

    UTF-8 with or without a byte order mark; lines end in \n or \r\n; blank lines are skipped.

    Raises:
        DataError: the file is missing, unreadable, empty, not text, or has no rows; a column name is empty or
            given twice; a row has another number of cells than the header.
    """
    path = Path(path)
    text = _read_text(path)
    header = text.lstrip("\r\n").partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in header else ",", strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error
    if not lines:
        raise DataError(f"{path}, line 1: the file is empty; a table has a header and rows")
    columns = _columns(path, *lines[0])
    if len(lines) == 1:
        raise DataError(f"{path}, line {lines[0][0]}: a header and no rows after it")
    for number, cells in lines[1:]:
        if len(cells) != len(columns):
            raise DataError(f"{path}, line {number}: {len(cells)} columns where the header has {len(columns)}")
    rows = tuple(Row(number, dict(zip(columns, cells, strict=True))) for number, cells in lines[1:])
    return Delimited(path, columns, rows)


def _columns(path: Path, line: int, header: list[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in header)
    for position, name in enumerate(names):
        if not name:
            raise DataError(f"{path}, line {line}: column {position + 1} has no name")
        if name in names[:position]:
            raise DataError(f"{path}, line {line}: column {name!r} is given twice")
    return names


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: not UTF-8 text (byte 0x{content[error.start]:02x})") from error
    for mark in BINARY_MARKS:
        if mark in text:
            line = text.count("\n", 0, text.index(mark)) + 1
            raise DataError(f"{path}, line {line}: not text (character {mark!r})")
    return text


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
