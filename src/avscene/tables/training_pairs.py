"""A list of what a system was trained on in, the pairs of scene and city that it had out."""

from pathlib import Path

from avscene.errors import DataError
from avscene.tables.delimited import read_delimited
from avscene.tables.names import SceneCity, tau_place

NAMES = ("path", "filename", "aid", "filename_audio", "filename_video")


def training_pairs(path: str | Path) -> frozenset[SceneCity]:
    """The scenes and cities of the recordings in a meta.csv or a prediction table, from names like TAU's.

    Rows with `test` in a column `split` are left out, as in training.

    Raises:
        DataError: the file is malformed, has no column of names, or none of the names tells a scene and a city.
    """
    file = read_delimited(path)
    columns = [column for column in NAMES if column in file.columns]
    if not columns:
        raise DataError(f"{path}, line 1: none of the columns {', '.join(NAMES)}")
    parts = file.cells("split") if "split" in file.columns else ("",) * len(file.cells(columns[0]))
    learnt = [
        name for column in columns for name, part in zip(file.cells(column), parts, strict=True) if part != "test"
    ]
    pairs = frozenset((place.scene, place.city) for place in map(tau_place, learnt) if place is not None)
    if not pairs:
        raise DataError(f"{path}, column {columns[0]}: no name tells scene and city, as airport-lisbon-1175-44106 does")
    return pairs
