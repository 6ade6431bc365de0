"""Read a data set of a `meta.csv` with the columns path,label[,group][,split|fold]."""

from collections.abc import Mapping
from pathlib import Path

from avscene.datasets.dataset import DataSet
from avscene.errors import DataError
from avscene.records import Example
from avscene.storage.urls import is_remote, local_path, shown
from avscene.tables.delimited import DelimitedFile, read_delimited
from avscene.tables.names import parse_tau_name

# The names of the columns in the tables of TAU's data sets of audio, and ours.
TAU_COLUMNS = {"filename": "path", "scene_label": "label", "identifier": "group"}
SETUP_FOLDER = "evaluation_setup"  # in TAU's data sets, of the lists of their parts


def meta_csv_of(path: Path) -> Path:
    """Return the `meta.csv` of the data set at `path`, which is that file itself or its directory."""
    return path if path.is_file() else path / "meta.csv"


def has_meta_csv(path: Path) -> bool:
    """Return whether `path` is a file, or a directory with a `meta.csv`."""
    return meta_csv_of(path).is_file()


def media_root(table: Path) -> Path:
    """Return the folder to which the paths in `table` are relative: its own, or that above `evaluation_setup`."""
    folder = table.parent
    return folder.parent if folder.resolve().name == SETUP_FOLDER else folder


def read_meta_csv(path: Path) -> DataSet:
    """Read a data set of a table; its paths are relative to the table, or URLs.

    Commas, semicolons or tabs separate the cells. Further columns are kept. Without a column `label` the recordings
    have no labels; without a group, a recording is a group of its own. Columns may have the names in TAU_COLUMNS; the
    group is then also read from a name like TAU's.

    Args:
        path: The table, or the directory that holds it as `meta.csv`.

    Raises:
        DataError: a column, value or file is missing, or a row is repeated.
    """
    table = meta_csv_of(path)
    file = read_delimited(table)
    columns = _columns(file)
    cells = {column: [cell.strip() for cell in file.cells(written)] for column, written in columns.items()}
    required = [column for column in ("path", "label") if column in columns]
    examples: list[Example] = []
    row_of: dict[str, int] = {}
    for row, values in enumerate(zip(*cells.values(), strict=True)):
        named = dict(zip(cells, values, strict=True))
        for column in required:
            if not named[column]:
                raise DataError(f"{table}, line {file.line(row)}: {columns[column]} is empty")
        example = _example(file, row, named, is_tau="filename" in file.columns)
        if (first := row_of.setdefault(example.name, row)) != row:
            raise DataError(f"{table}, line {file.line(row)}: {example.name} is already on line {file.line(first)}")
        examples.append(example)
    data = DataSet(table, tuple(examples))
    check_split(data)
    return data


def _columns(file: DelimitedFile) -> dict[str, str]:
    """Return the name in `file` of each column, by our name."""
    names = TAU_COLUMNS if "path" not in file.columns else {}
    columns = {names.get(written, written): written for written in file.columns}
    if "path" not in columns:
        raise no_column(file.path, "path")
    if len(columns) < len(file.columns):
        twice = next(ours for written, ours in names.items() if {written, ours} <= set(file.columns))
        raise DataError(f"{file.path}: column {twice!r} is given twice")
    return columns


def no_column(path: Path, column: str) -> DataError:
    """Return the error of a meta.csv that lacks a column, for the caller to raise."""
    return DataError(f"{path}: has no column {column!r}; its first line must name path,label[,group][,split|fold]")


def _example(file: DelimitedFile, row: int, named: Mapping[str, str], *, is_tau: bool) -> Example:
    location = str(local_path(named["path"]))
    name = shown(location)
    media = location if is_remote(location) else media_root(file.path) / location
    if isinstance(media, Path) and not media.is_file():
        raise DataError(f"{file.path}, line {file.line(row)}: {name}: file not found")
    group = named.get("group") or name
    extra = {column: value for column, value in named.items() if column not in ("path", "label", "group")}
    if is_tau and (parsed := parse_tau_name(name)):
        group = named.get("group") or parsed.group
        extra.setdefault("city", parsed.city)
    return Example(name, media, named.get("label", ""), group, columns=extra)


def check_split(data: DataSet) -> None:
    """Raise DataError if a group has several values of `split`; folds are checked when one is held out."""
    for value in data.values("split")[1:]:
        data.hold_out(f"split={value}")
