"""Read delimited text with a header as columns of text and numbers; errors name the line and the column."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from avscene.errors import DataError
from avscene.files import read_text
from avscene.records import FloatArray

_LONGEST_HEADER = 2**16  # characters that are read of a first line


@dataclass(frozen=True, slots=True, eq=False)
class DelimitedFile:
    """A delimited file of at least one row: its path, its `columns` in file order, its rows as `table`.

    If semicolons separate the cells, 0,5 is a number too. `rows` are the positions of the rows in the file, None if it
    has no others.
    """

    path: Path
    columns: tuple[str, ...]
    text: str
    separator: str
    table: Any  # pyarrow.Table of strings
    rows: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def line(self, row: int) -> int:
        """Return the line of the file, from 1, on which `row` ends."""
        rows = islice(_iterate_rows(self.path, self.text, self.separator), 1, None)  # after the header
        return next(islice(rows, row if self.rows is None else self.rows[row], None))[0]

    def lines(self) -> list[int]:
        """Return the line of the file, from 1, on which each row ends."""
        return [line for line, _ in islice(_iterate_rows(self.path, self.text, self.separator), 1, None)]

    def error_at(self, row: int, column: str, problem: str) -> DataError:
        """Return an error that names line and column of `problem`, for the caller to raise."""
        return DataError(f"{self.path}, line {self.line(row)}, column {column}: {problem}")

    def no_column(self, *names: str) -> DataError:
        """Return an error that says that none of the columns `names` was found, for the caller to raise."""
        *others, last = map(repr, names)
        wanted = f"{', '.join(others)} or {last}" if others else last
        return DataError(f"{self.path}, line 1: no column {wanted}; found: {', '.join(self.columns)}")

    def cells(self, column: str) -> tuple[str, ...]:
        """Return the cells (n,) of `column` as written."""
        return tuple(self.table.column(column).to_pylist())

    def filled_cells(self, column: str) -> tuple[str, ...]:
        """Return the cells (n,) of `column` as written.

        Raises:
            DataError: one is empty.
        """
        cells = self.cells(column)
        if not all(map(str.strip, cells)):
            raise self.error_at(next(row for row, cell in enumerate(cells) if not cell.strip()), column, "is empty")
        return cells

    def numbers(self, column: str) -> FloatArray:
        """Return the cells (n,) of `column` as finite numbers that are not negative.

        Raises:
            DataError: one is something else.
        """
        cells = self._number_cells(column)
        try:
            values = np.asarray(cells.cast(pa.float64()).to_numpy())
        except pa.ArrowInvalid:
            values = np.array([_parse_number(text) for text in cells.to_pylist()])
        for wrong, problem in ((~np.isfinite(values), "not a finite number"), (values < 0, "negative")):
            if wrong.any():
                row = int(wrong.argmax())
                raise self.error_at(row, column, f"{self.cells(column)[row]!r} is {problem}")
        return values

    def is_text(self, column: str) -> bool:
        """Return whether no cell of `column` is a number."""
        return not any(map(_is_number, pa.compute.unique(self._number_cells(column)).to_pylist()))

    def _number_cells(self, column: str) -> Any:
        """The cells of `column` as numbers are parsed: trimmed, with a decimal point."""
        cells = self.table.column(column)
        if self.separator == ";":
            cells = pa.compute.replace_substring(cells, pattern=",", replacement=".")
        return pa.compute.utf8_trim_whitespace(cells)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse_number(text: str) -> float:
    """NaN if `text` is not a number; 1_000, which float() accepts, is a typing error in a table."""
    try:
        return np.nan if "_" in text else float(text)
    except ValueError:
        return np.nan


def read_delimited(path: str | Path) -> DelimitedFile:
    r"""Read a file with a header. Tabs separate cells if the header has one, else semicolons or commas.

    Lines end in \n, \r\n or \r; blank ones are skipped.

    Raises:
        DataError: the file is missing, unreadable, too large, empty, not text, or has no rows; a column name is empty
            or given twice; a row and the header differ in their number of cells.
    """
    path = Path(path)
    text = read_text(path)
    separator = _detect_separator(text)
    line, header = next(_iterate_rows(path, text, separator), (1, []))
    if not header:
        raise DataError(f"{path}, line 1: the file is empty; a table has a header and rows")
    columns = _column_names(path, line, header)
    if '"' in text:  # Python's csv module names the line of a malformed quotation, pyarrow does not
        _check_row_lengths(path, text, separator)
    try:
        table = _to_arrow(text, separator, columns)
    except pa.ArrowInvalid as error:
        _check_row_lengths(path, text, separator)
        raise DataError(f"{path}: {str(error).splitlines()[0]}") from error
    if not table.num_rows:
        raise DataError(f"{path}, line {line}: a header and no rows after it")
    return DelimitedFile(path, columns, text, separator, table)


def header_of(path: Path) -> tuple[str, ...]:
    """Return the column names in the first line of any file, without reading the others or checking anything.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline(_LONGEST_HEADER)
    return tuple(name.strip() for name in next(csv.reader([line], delimiter=_detect_separator(line)), []))


def _detect_separator(text: str) -> str:
    header = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    if "\t" in header:
        return "\t"
    return ";" if header.count(";") > header.count(",") else ","


def _iterate_rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of the header and of each row, with the line of the file, from 1, on which they end."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def _check_row_lengths(path: Path, text: str, separator: str) -> None:
    width = 0
    for line, cells in _iterate_rows(path, text, separator):
        width = width or len(cells)
        if len(cells) != width:
            raise DataError(f"{path}, line {line}: {len(cells)} columns, but the header has {width}")


def _column_names(path: Path, line: int, header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in header)
    for position, name in enumerate(names):
        if not name:
            raise DataError(f"{path}, line {line}: column {position + 1} has no name")
        if name in names[:position]:
            raise DataError(f"{path}, line {line}: column {name!r} is given twice")
    return names


def _to_arrow(text: str, separator: str, columns: Sequence[str]) -> Any:
    """The rows after the header as a pyarrow.Table of strings, without blank rows."""
    table = pa.csv.read_csv(
        io.BytesIO(text.encode()),
        read_options=pa.csv.ReadOptions(column_names=columns, use_threads=False),
        parse_options=pa.csv.ParseOptions(
            delimiter=separator,
            newlines_in_values='"' in text,
            invalid_row_handler=lambda row: "error" if row.text.strip(f"{separator} \t\r\n") else "skip",
        ),
        convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
    )
    filled = [pa.compute.not_equal(pa.compute.utf8_trim_whitespace(cells), "") for cells in table.columns]
    keep = filled[0]
    if not pa.compute.all(keep).as_py():
        for column in filled[1:]:
            keep = pa.compute.or_(keep, column)
        table = table.filter(keep)
    return table.slice(1)
