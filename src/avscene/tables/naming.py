"""Name prediction tables by the shortest distinguishing part of their paths, or as the user names them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from avscene.errors import UsageError
from avscene.storage.urls import is_remote, shown

NAME_AND_PATH = re.compile(r"(?P<name>[^/\\=]+)=(?P<path>.+)", re.DOTALL)


def split_name(argument: str | os.PathLike[str]) -> tuple[str | None, Path]:
    """Split `NAME=PATH` into the name and the path; the name is None without one, or if a file is called so.

    Raises:
        UsageError: the path is a URL.
    """
    text = os.fspath(argument)
    found = NAME_AND_PATH.fullmatch(text)
    if is_remote(text) or (found is not None and is_remote(found["path"])):
        raise UsageError(f"{shown(text)}: URLs are not accepted here; try: a path on this machine")
    if found is None or os.path.lexists(text):
        return None, Path(text)
    return found["name"].strip() or None, Path(found["path"])


def distinguishing_names(paths: Sequence[str]) -> list[str]:
    """Return a name for each path: its file name, or where file names are equal the part of the path that differs.

    `runs/a/scores.tsv` and `runs/b/scores.tsv` are `a` and `b`. If no folder alone tells all apart, names are the
    shortest ends of the paths that differ.

    Raises:
        UsageError: a path is given twice.
    """
    parts = [PurePath(path).parts or (path,) for path in paths]
    if twice := [path for path, own in zip(paths, parts, strict=True) if parts.count(own) > 1]:
        raise UsageError(f"{twice[0]}: is given twice; leave one out")
    depth = max(map(len, parts), default=0)
    for position in range(1, depth + 1):
        names = [own[-position] if len(own) >= position else "" for own in parts]
        if all(names) and len(set(names)) == len(names):
            return names
    for length in range(2, depth + 1):
        names = ["/".join(own[-length:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    return list(paths)
