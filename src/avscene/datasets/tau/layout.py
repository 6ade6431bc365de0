"""TAU Urban Audio-Visual Scenes: `meta.csv`, `audio/`, `video/`, `evaluation_setup/`, wherever archives put them."""

import csv
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from avscene.datasets.dataset import DataSet
from avscene.datasets.tau.archives import SHELF
from avscene.errors import DataError
from avscene.labels import TAU_SCENES
from avscene.records import Example

META = "meta.csv"
SETUP = {"train": "fold1_train.csv", "test": "fold1_evaluate.csv"}
COLUMNS = ("filename_audio", "filename_video", "scene_label")
MEDIA_COLUMNS = COLUMNS[:2]
MEDIA_FOLDERS = ("audio", "video")
DEPTH = 3  # folders below a data set's own in which its parts are looked for
PREFIX = "TAU-urban-audio-visual-scenes-2021"  # of the published archives and the folders that they make
PUBLISHED = {"train": (8_646, 305), "test": (3_645, 126)}  # recordings and locations of fold 1
Rows = list[tuple[int, dict[str, str]]]  # with their lines in the file


def is_tau(meta: Path) -> bool:
    """Whether `meta` is the table of a TAU audio-visual data set."""
    return "filename_audio" in _header(meta)


def _header(meta: Path) -> list[str]:
    with meta.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline().rstrip("\r\n").split("\t")


def find_meta(root: Path) -> Path | None:
    """The `meta.csv` of the TAU data set in `root`, which may lie some folders down; None if there is none.

    Raises:
        DataError: there are two that differ.
    """
    tables = [folder / META for folder in _folders(root) if (folder / META).is_file()]
    found = [table for table in tables if set(COLUMNS) <= set(_header(table))]
    for other in found[1:]:
        if other.read_bytes() != found[0].read_bytes():
            raise DataError(f"{root}: holds two data sets, {found[0]} and {other}; name the folder of one")
    return found[0] if found else None


def _folders(root: Path) -> Iterator[Path]:
    """`root` and the folders below it, nearest first; hidden folders and those of media are not entered."""
    level = [root]
    for _ in range(DEPTH + 1):
        yield from level
        level = [child for folder in level for child in sorted(folder.iterdir()) if _may_enter(child)]


def _may_enter(path: Path) -> bool:
    return not path.name.startswith(".") and path.name not in MEDIA_FOLDERS and path.is_dir()


def has_archives(root: Path) -> bool:
    """Whether archives of TAU were fetched into `root`."""
    return any((root / SHELF).glob(f"{PREFIX}*"))


class MediaFinder:
    """Finds the media that a `meta.csv` names: beside it, or in any `audio/` or `video/` of the data set."""

    def __init__(self, meta: Path, root: Path) -> None:
        self._beside = meta.parent
        self._root = root

    def find(self, name: str) -> Path | None:
        """Where the file is; None if it is nowhere."""
        path = self._beside / name
        return path if path.is_file() else self._elsewhere.get(str(PurePosixPath(name)))

    @cached_property
    def _elsewhere(self) -> dict[str, Path]:
        """Every file in a folder of media, by its name in tables."""
        found: dict[str, Path] = {}
        media = [folder / name for folder in _folders(self._root) for name in MEDIA_FOLDERS]
        for path in (path for folder in media if folder.is_dir() for path in folder.iterdir()):
            found.setdefault(f"{path.parent.name}/{path.name}", path)
        return found


def read_tau(meta: Path, root: Path | None = None) -> DataSet:
    """The recordings of `meta`, sound and picture joined by its columns, with the published split.

    The group is the location, the third part of a name such as `airport-lisbon-1175-44106`. City and split are columns.
    `root` is the folder of the whole data set, if that is not the folder of `meta`.

    Raises:
        DataError: a column or file is missing, a file is named twice, a location is on both sides of the split, or the
            published data set has a scene that it cannot have.
    """
    root = meta.parent if root is None else root
    rows = read_rows(meta)
    published = is_published(meta, root, rows)
    found = _located(meta, root, rows, published=published)
    splits = _splits(_setup_folder(meta, root))
    examples = []
    for line, row in rows:
        audio, picture = (row[column] for column in MEDIA_COLUMNS)
        columns = _name_columns(meta, line, row, published=published)
        group = columns.pop("location")
        if audio in splits:
            columns["split"] = splits[audio]
        examples.append(
            Example(picture, found[picture], row["scene_label"], group, audio=found[audio], columns=columns)
        )
    data = DataSet(meta, tuple(examples))
    if {"train", "test"} <= set(data.values("split")):
        data.hold_out("split=test")
    return data


def is_published(meta: Path, root: Path, rows: Rows) -> bool:
    """Whether this is the published data set or a part of it, not another one in its layout."""
    named = any(part.startswith(PREFIX) for part in meta.parent.parts)
    return named or has_archives(root) or len(rows) == sum(recordings for recordings, _ in PUBLISHED.values())


def check_published(data: DataSet) -> tuple[str, ...]:
    """How `data` differs in number from the published data set, a line for each part; nothing if it does not."""
    lines = []
    for split, (recordings, locations) in PUBLISHED.items():
        part = [example for example in data.examples if example.columns.get("split") == split]
        places = len({example.group for example in part})
        if (len(part), places) != (recordings, locations):
            lines.append(
                f"{split}: {len(part)} recordings of {places} locations; published are {recordings} of {locations}"
            )
    return tuple(lines)


def _located(meta: Path, root: Path, rows: Rows, *, published: bool) -> dict[str, Path]:
    """Where every file that `rows` name is."""
    finder, found, lines = MediaFinder(meta, root), dict[str, Path](), dict[str, int]()
    missing: list[tuple[int, str]] = []
    for line, name in named_files(rows):
        if name in lines:
            raise DataError(f"{meta}, line {line}: {name} is already on line {lines[name]}")
        lines[name] = line
        path = finder.find(name)
        if path is None:
            missing.append((line, name))
        else:
            found[name] = path
    if missing:
        raise _absent(meta, root, missing, len(lines), published=published)
    return found


def named_files(rows: Rows) -> Iterator[tuple[int, str]]:
    """The files that a `meta.csv` names, with their lines."""
    return ((line, row[column]) for line, row in rows for column in MEDIA_COLUMNS)


def _absent(meta: Path, root: Path, missing: Sequence[tuple[int, str]], count: int, *, published: bool) -> DataError:
    line, name = missing[0]
    text = f"{meta}, line {line}: {name} is not there"
    if len(missing) > 1:
        text += f", and {len(missing) - 1} more of {count} files"
    if published:
        text += (
            f"; name the folder that holds all of the data set, or fetch what is missing: "
            f"avscene data download tau-2021 --output {root}"
        )
    return DataError(text)


def _name_columns(meta: Path, line: int, row: dict[str, str], *, published: bool) -> dict[str, str]:
    """City and location, from a name such as `airport-lisbon-1175-44106`; what follows (`-a`) says nothing."""
    name = PurePosixPath(row["filename_audio"])
    parts = name.stem.split("-")
    if len(parts) < 4:
        raise DataError(f"{meta}, line {line}: {name.name} is not named scene-city-location-segment")
    if published and row["scene_label"] not in TAU_SCENES:
        raise DataError(f"{meta}, line {line}: scene {row['scene_label']!r} is not one of {', '.join(TAU_SCENES)}")
    if published and row["scene_label"] != parts[0]:
        raise DataError(f"{meta}, line {line}: scene {row['scene_label']!r} is not that of {name.name}")
    return {"city": parts[1], "location": parts[2]}


def _setup_folder(meta: Path, root: Path) -> Path | None:
    """The folder of the published lists: the one beside `meta`, or else the nearest."""
    for folder in (meta.parent, *_folders(root)):
        if any((folder / "evaluation_setup" / name).is_file() for name in SETUP.values()):
            return folder / "evaluation_setup"
    return None


def _splits(setup: Path | None) -> dict[str, str]:
    """Sound file -> train or test, by the published lists; empty where the lists are absent."""
    splits: dict[str, str] = {}
    for split, path in () if setup is None else ((split, setup / name) for split, name in SETUP.items()):
        for line, row in read_rows(path) if path.is_file() else ():
            if splits.setdefault(row["filename_audio"], split) != split:
                raise DataError(f"{path}, line {line}: {row['filename_audio']} is for training and for testing")
    return splits


def read_rows(path: Path) -> Rows:
    """The rows of one of the tables.

    Raises:
        DataError: it cannot be read, or a column or value is missing.
    """
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
