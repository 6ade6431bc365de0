"""Read which pairs of scene and city a system was trained on, from a list of its training recordings."""

from pathlib import Path

from avscene.errors import DataError
from avscene.tables.delimited import read_delimited
from avscene.tables.names import SceneCity, parse_tau_name

NAME_COLUMNS = ("path", "filename", "aid", "filename_audio", "filename_video")


def read_training_pairs(path: str | Path) -> frozenset[SceneCity]:
    """Read the scenes and cities of the recordings in a meta.csv or a prediction table, from names like TAU's.

    Rows with `test` in a column `split` are skipped, as in training.

    Raises:
        DataError: the file is malformed, has no column of names, or none of the names has a scene and a city.
    """
    file = read_delimited(path)
    columns = [column for column in NAME_COLUMNS if column in file.columns]
    if not columns:
        raise file.no_column(*NAME_COLUMNS)
    parts = file.cells("split") if "split" in file.columns else ("",) * len(file)
    names = [name for column in columns for name, part in zip(file.cells(column), parts, strict=True) if part != "test"]
    pairs = frozenset((parsed.scene, parsed.city) for parsed in map(parse_tau_name, names) if parsed is not None)
    if not pairs:
        raise DataError(f"{path}, column {columns[0]}: no name has scene and city, as airport-lisbon-1175-44106 has")
    return pairs
