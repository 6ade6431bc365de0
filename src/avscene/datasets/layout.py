"""A path to its data set, whichever of the three layouts it has."""

from pathlib import Path

from avscene.datasets.dataset import DataSet
from avscene.datasets.folder import read_folders, read_meta_csv
from avscene.datasets.tau.layout import find_meta, has_archives, is_tau, read_tau
from avscene.errors import DataError
from avscene.tables.prediction_table import CONTROL_CHARACTERS, META_COLUMNS


def read_dataset(path: str | Path) -> DataSet:
    """The data set at `path`: a TAU directory, a folder per class, or a `meta.csv` (its directory or the file itself).

    TAU's `meta.csv` may lie some folders down.

    Raises:
        DataError: there is none, or it is malformed; the message names file and line. A name that no table can hold.
    """
    root = Path(path)
    if not root.exists():
        raise DataError(f"{root}: is not there")
    meta = root if root.is_file() else root / "meta.csv"
    try:
        data = _read(root, meta)
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror})") from error
    _check_names(data)
    return data


def _read(root: Path, meta: Path) -> DataSet:
    if meta.is_file():
        return read_tau(meta) if is_tau(meta) else read_meta_csv(meta)
    if (elsewhere := find_meta(root)) is not None:
        return read_tau(elsewhere, root)
    if has_archives(root):
        raise DataError(
            f"{root}: holds archives of TAU, but no meta.csv that says what scenes they show (an evaluation set has "
            f"none); the development set has: avscene data download tau-2021 --output {root}"
        )
    return read_folders(root)


def _check_names(data: DataSet) -> None:
    """Prediction tables must be able to hold every name: else hours of work would end at the writing of one."""
    for example in data.examples:
        if example.label in META_COLUMNS:
            raise DataError(f"{data.source}: scene {example.label!r} is called like a column of tables; rename it")
        for name in (example.name, example.label, example.group):
            if CONTROL_CHARACTERS.search(name):
                raise DataError(f"{data.source}: {name!r} holds a control character, such as a tab; rename it")
            if name != name.encode(errors="replace").decode():
                raise DataError(f"{data.source}: {name!a} is not valid text (UTF-8); rename it")
