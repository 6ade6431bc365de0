"""Read the layout of TAU: `meta.csv`, `audio/`, `video/` and `evaluation_setup/`, in any folder of the data set."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath

from avscene.datasets.dataset import DataSet
from avscene.datasets.meta_csv import SETUP_FOLDER, media_root, meta_csv_of
from avscene.datasets.tau.archives import ARCHIVES_FOLDER
from avscene.errors import DataError
from avscene.labels import TAU_SCENES
from avscene.records import Example
from avscene.tables.delimited import header_of, read_delimited

META = "meta.csv"
SETUP = {"train": "fold1_train.csv", "test": "fold1_evaluate.csv"}
COLUMNS = ("filename_audio", "filename_video", "scene_label")
MEDIA_COLUMNS = COLUMNS[:2]
MEDIA_FOLDERS = ("audio", "video")
DEPTH = 3  # levels of folders below the data set in which its parts are searched
PREFIX = "TAU-urban-audio-visual-scenes-2021"  # of the names of published archives and of the folders in them
PUBLISHED = {"train": (8_646, 305), "test": (3_645, 126)}  # recordings and locations of fold 1
Rows = list[tuple[int, dict[str, str]]]  # with their line numbers


def is_tau_table(meta: Path) -> bool:
    """Return whether `meta` is the table of a TAU audio-visual data set."""
    return "filename_audio" in header_of(meta)


def find_meta(root: Path) -> Path | None:
    """Find the `meta.csv` of the TAU data set in `root`, some folders down at most; return None if there is none.

    One with scenes comes before one without.

    Raises:
        DataError: there are two that differ.
    """
    tables = [folder / META for folder in _folders(root) if (folder / META).is_file()]
    headers = {table: set(header_of(table)) for table in tables}
    found = [table for table in tables if headers[table] >= set(COLUMNS)]
    found = found or [table for table in tables if headers[table] >= set(MEDIA_COLUMNS)]
    for other in found[1:]:
        if other.read_bytes() != found[0].read_bytes():
            raise DataError(f"{root}: holds two data sets, {found[0]} and {other}; name the folder of one")
    return found[0] if found else None


def _folders(root: Path) -> Iterator[Path]:
    """Yield `root` and the folders below it, nearest first, except hidden folders and folders of media."""
    level = [root]
    for _ in range(DEPTH + 1):
        yield from level
        level = [child for folder in level for child in sorted(folder.iterdir()) if _may_enter(child)]


def _may_enter(path: Path) -> bool:
    return not path.name.startswith(".") and path.name not in MEDIA_FOLDERS and path.is_dir()


def has_archives(root: Path) -> bool:
    """Return whether archives of TAU were downloaded into `root`."""
    return any((root / ARCHIVES_FOLDER).glob(f"{PREFIX}*"))


class MediaFinder:
    """Finds the media files that a `meta.csv` names: beside it, or in any `audio/` or `video/` of the data set."""

    def __init__(self, meta: Path, root: Path) -> None:
        self._beside = media_root(meta)
        self._root = root

    def find(self, name: str) -> Path | None:
        """Return the path of the file, or None if there is none."""
        path = self._beside / name
        return path if path.is_file() else self._elsewhere.get(str(PurePosixPath(name)))

    @cached_property
    def _elsewhere(self) -> dict[str, Path]:
        return media_files(self._root)


def media_files(root: Path) -> dict[str, Path]:
    """Return every file in a folder `audio` or `video` of a data set, by its name in the tables (`audio/0.wav`)."""
    found: dict[str, Path] = {}
    media = [folder / name for folder in _folders(root) for name in MEDIA_FOLDERS]
    for path in (path for folder in media if folder.is_dir() for path in folder.iterdir()):
        found.setdefault(f"{path.parent.name}/{path.name}", path)
    return found


def is_tau(path: Path) -> bool:
    """Return whether the data set at `path`, a directory or its `meta.csv`, has the layout of TAU."""
    meta = meta_csv_of(path)
    if meta.is_file():
        return is_tau_table(meta)
    return find_meta(path) is not None or (has_archives(path) and not media_files(path))


def read_tau(path: Path) -> DataSet:
    """Read the recordings of a TAU data set with the published split; `meta.csv` joins their audio and video files.

    The group is the location: city and number in a name such as `airport-lisbon-1175-44106`. City and split are
    columns. A table without `scene_label` is that of recordings without labels.

    Args:
        path: The directory of the data set, in which `meta.csv` may be some folders down, or the `meta.csv` itself.

    Raises:
        DataError: there is no `meta.csv`, a column or file is missing, a file is named twice, a location is on both
            sides of the split, or the published data set has a scene that it cannot have.
    """
    meta = meta_csv_of(path)
    if meta.is_file():
        return _read_table(meta, media_root(meta))
    found = find_meta(path)
    if found is None:
        raise DataError(
            f"{path}: has archives of TAU, but no meta.csv with the scenes of the recordings (an evaluation set has "
            f"none); the development set has: avscene data download tau-2021 --output {path}"
        )
    return _read_table(found, path)


def _read_table(meta: Path, root: Path) -> DataSet:
    """Read the recordings of `meta`, whose media are somewhere in `root`."""
    rows = read_rows(meta)
    published = is_published(meta, root, rows)
    found = _located(meta, root, rows, published=published)
    lists = _split_lists(_setup_folder(meta, root))
    splits = _splits(lists)
    examples = []
    for line, row in rows:
        audio, video = (row[column] for column in MEDIA_COLUMNS)
        label = row.get("scene_label", "")
        city, group = _name_parts(meta, line, row, published=published) if label else ("", video)
        columns = {"city": city} if city else {}
        if audio in splits:
            columns["split"] = splits[audio]
        examples.append(Example(video, found[video], label, group, audio=found[audio], columns=columns))
    data = DataSet(meta, tuple(examples), tuple(lists.values()))
    if {"train", "test"} <= set(data.values("split")):
        data.hold_out("split=test")
    return data


def is_published(meta: Path, root: Path, rows: Rows) -> bool:
    """Return whether this is (a part of) the published data set, and not another one in its layout."""
    named = any(part.startswith(PREFIX) for part in meta.parent.parts)
    return named or has_archives(root) or len(rows) == sum(recordings for recordings, _ in PUBLISHED.values())


def check_published(data: DataSet) -> tuple[str, ...]:
    """Compare the numbers of recordings and locations with the published ones; return a line for each difference."""
    lines = []
    for split, (recordings, locations) in PUBLISHED.items():
        part = [example for example in data.examples if example.columns.get("split") == split]
        groups = len({example.group for example in part})
        if (len(part), groups) != (recordings, locations):
            lines.append(
                f"{split}: {len(part)} recordings of {groups} locations; published are {recordings} of {locations}"
            )
    return tuple(lines)


def _located(meta: Path, root: Path, rows: Rows, *, published: bool) -> dict[str, Path]:
    """Return the path of every file that `rows` name."""
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
        raise _files_missing(meta, root, missing, len(lines), published=published)
    return found


def named_files(rows: Rows) -> Iterator[tuple[int, str]]:
    """Return the files that a `meta.csv` names, with their line numbers."""
    return ((line, row[column]) for line, row in rows for column in MEDIA_COLUMNS)


def _files_missing(
    meta: Path, root: Path, missing: Sequence[tuple[int, str]], count: int, *, published: bool
) -> DataError:
    line, name = missing[0]
    text = f"{meta}, line {line}: {name}: file not found"
    if len(missing) > 1:
        text += f", and {len(missing) - 1} more of {count} files"
    if published:
        text += (
            f"; name the folder that holds the whole data set, or download what is missing: "
            f"avscene data download tau-2021 --output {root}"
        )
    return DataError(text)


def _name_parts(meta: Path, line: int, row: dict[str, str], *, published: bool) -> tuple[str, str]:
    """Parse city and group from a name such as `airport-lisbon-1175-44106`; further parts (`-a`) are ignored."""
    name = PurePosixPath(row["filename_audio"])
    parts = name.stem.split("-")
    if len(parts) < 4:
        raise DataError(f"{meta}, line {line}: {name.name} is not named scene-city-location-segment")
    if published and row["scene_label"] not in TAU_SCENES:
        raise DataError(f"{meta}, line {line}: scene {row['scene_label']!r} is not one of {', '.join(TAU_SCENES)}")
    if published and row["scene_label"] != parts[0]:
        raise DataError(f"{meta}, line {line}: scene {row['scene_label']!r} is not that of {name.name}")
    return parts[1], f"{parts[1]}-{parts[2]}"


def _setup_folder(meta: Path, root: Path) -> Path | None:
    """Find the folder of the published lists: beside `meta`, or else the nearest in `root`."""
    for folder in (meta.parent, *_folders(root)):
        if any((folder / SETUP_FOLDER / name).is_file() for name in SETUP.values()):
            return folder / SETUP_FOLDER
    return None


def _split_lists(setup: Path | None) -> dict[str, Path]:
    """Return the published lists that exist, by their split."""
    lists = {} if setup is None else {split: setup / name for split, name in SETUP.items()}
    return {split: path for split, path in lists.items() if path.is_file()}


def _splits(lists: Mapping[str, Path]) -> dict[str, str]:
    """Map each audio file to train or test by the published lists; empty if the lists are missing."""
    splits: dict[str, str] = {}
    for split, path in lists.items():
        for line, row in read_rows(path):
            if splits.setdefault(row["filename_audio"], split) != split:
                raise DataError(f"{path}, line {line}: {row['filename_audio']} is in the training and in the test list")
    return splits


def read_rows(path: Path) -> Rows:
    """Read the rows of one of the tables, whose cells tabs, commas or semicolons separate.

    Raises:
        DataError: it cannot be read, or a column of files or a value is missing.
    """
    file = read_delimited(path)
    for column in MEDIA_COLUMNS:
        if column not in file.columns:
            raise DataError(f"{path}: has no column {column!r}")
    required = [column for column in COLUMNS if column in file.columns]
    cells = [[cell.strip() for cell in file.cells(column)] for column in file.columns]
    rows = [(line, dict(zip(file.columns, row, strict=True))) for line, *row in zip(file.lines(), *cells, strict=True)]
    for line, row in rows:
        if not all(row[column] for column in required):
            raise DataError(f"{path}, line {line}: one of {', '.join(required)} is empty")
    return rows
