"""Read a data set of one folder per class."""

from pathlib import Path

from avscene.datasets.dataset import DataSet
from avscene.datasets.media_folder import find_media
from avscene.errors import DataError
from avscene.records import Example


def read_class_folders(root: Path) -> DataSet:
    """Read a data set of one folder per class; recordings in a folder of a class folder form a group of that name.

    Raises:
        DataError: there are no class folders, or one has no media files or a folder that cannot be read.
    """
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise DataError(f"{root}: is not a data set: it has neither class folders nor a meta.csv")
    examples: list[Example] = []
    for folder in folders:
        found = find_media(folder)
        for error in found.unreadable.values():
            raise DataError(str(error))
        if not found.paths:
            raise DataError(f"{folder}: the class folder holds no media files")
        examples += (_example(root, folder, path) for path in sorted(map(Path, found.paths)))
    return DataSet(root, tuple(examples))


def _example(root: Path, folder: Path, path: Path) -> Example:
    name = path.relative_to(root).as_posix()
    group = name if path.parent == folder else path.parent.relative_to(root).as_posix()
    return Example(name, path, folder.name, group)
