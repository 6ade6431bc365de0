"""Read a data set of a `meta.csv` with the columns path,label[,group][,split|fold]."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from avscene.datasets.dataset import DataSet
from avscene.errors import DataError
from avscene.records import Example
from avscene.storage.urls import is_remote, local_path, shown

REQUIRED = ("path", "label")


def meta_csv_of(path: Path) -> Path:
    """Return the `meta.csv` of the data set at `path`, which is that file itself or its directory."""
    return path if path.is_file() else path / "meta.csv"


def has_meta_csv(path: Path) -> bool:
    """Return whether `path` is a file, or a directory with a `meta.csv`."""
    return meta_csv_of(path).is_file()


def read_meta_csv(path: Path) -> DataSet:
    """Read a data set of a comma-separated table; its paths are relative to the table, or URLs.

    Further columns are kept.

    Without a group column every recording is a group of its own.

    Args:
        path: The table, or the directory that holds it as `meta.csv`.

    Raises:
        DataError: a column, value or file is missing, or a row is repeated.
    """
    table = meta_csv_of(path)
    examples: list[Example] = []
    line_of: dict[str, int] = {}
    for line, row in _rows(table):
        location = str(local_path(row["path"]))
        name = shown(location)
        if name in line_of:
            raise DataError(f"{table}, line {line}: {name} is already on line {line_of[name]}")
        line_of[name] = line
        media = location if is_remote(location) else table.parent / location
        if isinstance(media, Path) and not media.is_file():
            raise DataError(f"{table}, line {line}: {name}: file not found")
        extra = {column: value for column, value in row.items() if column not in (*REQUIRED, "group")}
        examples.append(Example(name, media, row["label"], row.get("group") or name, columns=extra))
    data = DataSet(table, tuple(examples))
    _check_split(data)
    return data


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the rows with their line numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = _columns(path, reader.fieldnames or ())
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise DataError(
                f"{path}, line {reader.line_num}: does not have the {len(columns)} columns of the first line"
            )
        values = {str(key).strip(): value.strip() for key, value in row.items()}
        for column in REQUIRED:
            if not values[column]:
                raise DataError(f"{path}, line {reader.line_num}: {column} is empty")
        rows.append((reader.line_num, values))
    return rows


def _columns(path: Path, header: Iterable[str]) -> list[str]:
    columns = [column.strip() for column in header]
    for column in REQUIRED:
        if column not in columns:
            raise DataError(
                f"{path}: has no column {column!r}; its first line must name path,label[,group][,split|fold]"
            )
    for column in columns:
        if columns.count(column) > 1:
            raise DataError(f"{path}: column {column!r} is given twice")
    return columns


def _check_split(data: DataSet) -> None:
    """Raise if a group has several values of `split`; folds are checked when one is held out."""
    for value in data.values("split")[1:]:
        data.hold_out(f"split={value}")
