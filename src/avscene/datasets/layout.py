"""Read the data set at a path, whichever of the known layouts it has."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from avscene.datasets.class_folders import read_class_folders
from avscene.datasets.dataset import DataSet
from avscene.datasets.meta_csv import has_meta_csv, no_column, read_meta_csv
from avscene.datasets.store.manifest import is_store
from avscene.datasets.tau.evaluation import is_tau_evaluation, read_tau_evaluation
from avscene.datasets.tau.layout import is_tau, is_tau_table, read_tau
from avscene.datasets.tau.mobile import is_tau_mobile, read_tau_mobile
from avscene.datasets.unlabelled import is_media_folder, is_path_list, read_media_folder, read_path_list
from avscene.errors import DataError
from avscene.files import did_you_mean_path
from avscene.storage.urls import is_remote, shown
from avscene.tables.prediction_table import CONTROL_CHARACTERS, META_COLUMNS


@dataclass(frozen=True, slots=True)
class DataLayout:
    """A way to lay out a data set on disk: `matches` recognises it at a path, `read` reads it from there."""

    name: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], DataSet]


LAYOUTS = (  # the first that matches is read
    DataLayout("TAU Urban Audio-Visual Scenes", is_tau, read_tau),
    DataLayout("TAU Urban Acoustic Scenes Mobile", is_tau_mobile, read_tau_mobile),
    DataLayout("a list of paths", is_path_list, read_path_list),
    DataLayout("meta.csv", has_meta_csv, read_meta_csv),
    DataLayout("TAU's evaluation set", is_tau_evaluation, read_tau_evaluation),
    DataLayout("a folder of media files", is_media_folder, read_media_folder),
    DataLayout("a folder per class", Path.exists, read_class_folders),
)


def read_dataset(path: str | Path) -> DataSet:
    """Read the data set at `path`: a TAU directory, a folder per class, or a `meta.csv` (its directory or the file).

    Raises:
        DataError: there is no data set, it is malformed (the message names file and line), it has no labels, or a
            prediction table could not hold one of its names.
    """
    data = read_recordings(path)
    if not data.is_labelled:
        if data.source.is_file() and is_tau_table(data.source):
            raise DataError(
                f"{data.source}: has no labels (column 'scene_label'): an evaluation set has none; the development set "
                "has: avscene data download tau-2021"
            )
        if data.source.is_file() and not is_path_list(data.source):
            raise no_column(data.source, "label")
        raise DataError(
            f"{data.source}: has no labels: it is neither a folder per class, nor a meta.csv, nor TAU's development set"
        )
    return data


def read_recordings(path: str | Path, *, unlabelled: bool = False) -> DataSet:
    """Read recordings at `path`, with labels or without.

    Without labels are a folder of media files that has no folders, `audio/` and `video/` as in TAU's evaluation set, a
    list of paths (`.txt`), and a table without a column for them.

    Args:
        path: what `read_dataset` reads, or one of these.
        unlabelled: leave labels out. Of a folder without a table, all media files are read, at any depth.

    Raises:
        DataError: there are no recordings, or what describes them is malformed.
    """
    if is_remote(path):
        raise DataError(f"{shown(path)}: URLs are not downloaded here; try: download the data set, and give its path")
    root = Path(path)
    with _reading(root):
        if not root.exists():
            raise DataError(f"{root}: no such file or directory{did_you_mean_path(str(root))}")
        layout = _layout_of(root)
        read = read_media_folder if unlabelled and layout.read is read_class_folders else layout.read
        data = read(root)
    _check_names(data)
    return data.unlabelled() if unlabelled else data


def class_folders_at(path: str | Path) -> Path | None:
    """Return `path` if there is a data set of class folders, in which every other folder would be a class; else None.

    Raises:
        DataError: the folder cannot be read.
    """
    root = Path(path)
    with _reading(root):
        is_data = root.is_dir() and not is_store(root)
        return root if is_data and _layout_of(root).read is read_class_folders else None


@contextmanager
def _reading(root: Path) -> Iterator[None]:
    """Raise errors of the file system as DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename or root}: cannot be read ({error.strerror})") from error


def _layout_of(root: Path) -> DataLayout:
    return next(layout for layout in LAYOUTS if layout.matches(root))


def _check_names(data: DataSet) -> None:
    """Raise if prediction tables cannot hold a name, before hours of work end at the writing of one."""
    for example in data.examples:
        if example.label in META_COLUMNS:
            raise DataError(f"{data.source}: scene {example.label!r} is called like a column of tables; rename it")
        for name in (example.name, example.label, example.group):
            if CONTROL_CHARACTERS.search(name):
                raise DataError(f"{data.source}: {name!r} holds a control character, such as a tab; rename it")
            if name != name.encode(errors="replace").decode():
                raise DataError(f"{data.source}: {name!a} is not valid text (UTF-8); rename it")
