"""A folder per class, or a `meta.csv` with path and label: a user's own data set."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from avscene.datasets.dataset import DataSet, is_media
from avscene.errors import DataError
from avscene.records import Example

REQUIRED = ("path", "label")


def read_folders(root: Path) -> DataSet:
    """A data set of one folder per class; recordings in a folder of a class folder form a group of that name.

    Raises:
        DataError: no class folders, or one without media.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise DataError(f"{root}: is no data set: it holds neither class folders nor a meta.csv")
    examples: list[Example] = []
    for folder in folders:
        found = [
            _in_folder(root, folder, path) for path in sorted(folder.rglob("*")) if path.is_file() and is_media(path)
        ]
        if not found:
            raise DataError(f"{folder}: the class folder holds no media files")
        examples += found
    return DataSet(root, tuple(examples))


def _in_folder(root: Path, folder: Path, path: Path) -> Example:
    name = path.relative_to(root).as_posix()
    group = name if path.parent == folder else path.parent.relative_to(root).as_posix()
    return Example(name, path, folder.name, group)


def read_meta_csv(path: Path) -> DataSet:
    """A data set of a comma-separated `path,label[,group][,split|fold]...` table; paths are relative to it.

    Without a group column every recording is a group of its own.

    Raises:
        DataError: a column or value is missing, a row is there twice, or a file is not there.
    """
    examples: list[Example] = []
    seen: dict[str, int] = {}
    for line, row in _rows(path):
        name = row["path"]
        if name in seen:
            raise DataError(f"{path}, line {line}: {name} is already on line {seen[name]}")
        seen[name] = line
        media = path.parent / name
        if not media.is_file():
            raise DataError(f"{path}, line {line}: {name} is not there")
        extra = {column: value for column, value in row.items() if column not in (*REQUIRED, "group")}
        examples.append(Example(name, media, row["label"], row.get("group") or name, columns=extra))
    data = DataSet(path, tuple(examples))
    _check_split(data)
    return data


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
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
    """A group may be on one side of `split` only; folds are checked when one is held out."""
    for value in data.values("split")[1:]:
        data.hold_out(f"split={value}")
