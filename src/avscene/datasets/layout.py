"""A path to its data set, whichever of the three layouts it has."""

from pathlib import Path

from avscene.datasets.folder import read_folders, read_meta_csv
from avscene.datasets.split import DataSet
from avscene.datasets.tau import is_tau, read_tau
from avscene.errors import DataError


def read_dataset(path: str | Path) -> DataSet:
    """The data set at `path`: a TAU directory, a folder per class, or a `meta.csv` (its directory or the file itself).

    Raises:
        DataError: there is none, or it is malformed; the message names file and line.
    """
    root = Path(path)
    if not root.exists():
        raise DataError(f"{root}: is not there")
    meta = root if root.is_file() else root / "meta.csv"
    try:
        if meta.is_file():
            return read_tau(meta) if is_tau(meta) else read_meta_csv(meta)
        return read_folders(root)
    except OSError as error:
        raise DataError(f"{root}: cannot be read ({error.strerror})") from error
