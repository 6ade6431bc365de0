"""Read the layout of TAU's data sets of audio (TAU Urban Acoustic Scenes Mobile): `meta.csv`, `audio/` and lists."""

from dataclasses import replace
from pathlib import Path

from avscene.datasets.dataset import DataSet
from avscene.datasets.meta_csv import SETUP_FOLDER, check_split, media_root, meta_csv_of, read_meta_csv
from avscene.datasets.tau.layout import SETUP
from avscene.errors import DataError
from avscene.tables.delimited import header_of, read_delimited


def is_tau_mobile(path: Path) -> bool:
    """Return whether the data set at `path`, a directory or a table, names its files as TAU's data sets of audio do."""
    meta = meta_csv_of(path)
    if not meta.is_file():
        return False
    header = header_of(meta)
    return "filename" in header and "path" not in header and "filename_audio" not in header


def read_tau_mobile(path: Path) -> DataSet:
    """Read recordings with the published split, if its lists are in `evaluation_setup` beside the table.

    The group is `identifier` (city and number of the location), or else those in a name such as
    `airport-barcelona-0-0-a.wav`. City, `source_label` (the device) and further columns are kept.

    Raises:
        DataError: a column, value or file is missing, a recording is in both lists, or a group is on both sides.
    """
    data = read_meta_csv(path)
    splits = _splits(media_root(data.source) / SETUP_FOLDER)
    if not splits or "split" in set().union(*(example.columns for example in data.examples)):
        return data
    examples = tuple(
        replace(example, columns=example.columns | {"split": splits[example.name]})
        if example.name in splits
        else example
        for example in data.examples
    )
    data = replace(data, examples=examples)
    check_split(data)
    return data


def _splits(folder: Path) -> dict[str, str]:
    """Map the files in the published lists to train or test; empty if a list is missing."""
    paths = {split: folder / name for split, name in SETUP.items()}
    if not all(path.is_file() for path in paths.values()):
        return {}
    splits: dict[str, str] = {}
    for split, path in paths.items():
        file = read_delimited(path)
        if "filename" not in file.columns:
            raise file.no_column("filename")
        for row, name in enumerate(map(str.strip, file.cells("filename"))):
            if splits.setdefault(name, split) != split:
                raise DataError(f"{path}, line {file.line(row)}: {name} is in the training and in the test list")
    return splits
