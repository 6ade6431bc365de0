"""TAU Urban Audio-Visual Scenes: `meta.csv`, `audio/`, `video/` and `evaluation_setup/`, tab-separated."""

import csv
from pathlib import Path

from avscene.datasets.split import DataSet, Example
from avscene.errors import DataError

SETUP = {"train": "fold1_train.csv", "test": "fold1_evaluate.csv"}
COLUMNS = ("filename_audio", "filename_video", "scene_label")


def is_tau(meta: Path) -> bool:
    """Whether `meta` is the table of a TAU audio-visual data set."""
    with meta.open(encoding="utf-8-sig", errors="replace") as file:
        return "filename_audio" in file.readline().split("\t")


def read_tau(meta: Path) -> DataSet:
    """The recordings of `meta`, sound and picture joined by its columns, with the published split.

    The group is the location, the third part of a name such as `airport-lisbon-1175-44106`. City and split are columns.

    Raises:
        DataError: a column or file is missing, or a location is on both sides of the split.
    """
    root = meta.parent
    splits = _splits(root / "evaluation_setup")
    examples = []
    seen: dict[str, int] = {}
    for line, row in _rows(meta):
        first = seen.setdefault(row["filename_video"], line)
        if first != line:
            raise DataError(f"{meta}, line {line}: {row['filename_video']} is already on line {first}")
        sound, picture = root / row["filename_audio"], root / row["filename_video"]
        for path in (sound, picture):
            if not path.is_file():
                raise DataError(f"{meta}, line {line}: {path.relative_to(root)} is not there")
        parts = sound.stem.split("-")
        if len(parts) < 4:
            raise DataError(f"{meta}, line {line}: {sound.name} is not named scene-city-location-segment")
        columns = {"city": parts[1]}
        if row["filename_audio"] in splits:
            columns["split"] = splits[row["filename_audio"]]
        examples.append(
            Example(row["filename_video"], picture, row["scene_label"], parts[2], sound=sound, columns=columns)
        )
    data = DataSet(meta, tuple(examples))
    if {"train", "test"} <= set(data.values("split")):
        data.hold_out("split=test")
    return data


def _splits(setup: Path) -> dict[str, str]:
    """Sound file -> train or test, by the published lists; empty where the lists are absent."""
    return {
        row["filename_audio"]: split
        for split, name in SETUP.items()
        if (setup / name).is_file()
        for _, row in _rows(setup / name)
    }


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text") from error
    reader = csv.DictReader(lines, delimiter="\t")
    for column in COLUMNS:
        if column not in (reader.fieldnames or ()):
            raise DataError(f"{path}: has no column {column!r}")
    rows = [(reader.line_num, row) for row in reader]
    for line, row in rows:
        if not all(row[column] for column in COLUMNS):
            raise DataError(f"{path}, line {line}: one of {', '.join(COLUMNS)} is empty")
    return rows
