"""List the files that belong to a checkpoint and its members, and bound what a checkpoint of others may need."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from avscene.errors import CheckpointError
from avscene.models.checkpoint import CARD, CONFIG, WEIGHTS, Config

MAX_CONFIG = 16 << 20  # bytes
MAX_WEIGHTS = 16 << 30  # bytes, of a checkpoint with its members; the largest of the paper have 0.5 GB
MAX_MEMBERS, MAX_DEPTH = 64, 4  # of an ensemble, in all; the paper's have 9 and 2
MAX_SCENES = 10_000
# Largest settings of inputs, several times those of the paper: a configuration must not make a network fill the memory.
LIMITS = {
    "size": 2048,
    "resize": 4096,
    "image_size": 2048,
    "n_mels": 1024,
    "n_fft": 1 << 17,
    "hop_length": 1 << 17,
    "sample_rate": 384_000,
}
MAX_FRAME_SIZE = 4320
_MAX_NAMED = 3  # files named in a message
_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")

ReadMember = Callable[[PurePosixPath, Config, str], Config]  # folder of a member, its ensemble, its name


def members(config: Config, read: ReadMember) -> Iterator[tuple[PurePosixPath, Config]]:
    """Yield the folder and the configuration of a checkpoint and of all its members, an ensemble before its members.

    Raises:
        CheckpointError: a name is not one of a folder, there are too many members, or one needs too much.
    """
    found = 0
    waiting = [(PurePosixPath(), config)]
    while waiting:
        folder, current = waiting.pop()
        check_bounds(current)
        yield folder, current
        found += len(current.members)
        if found > MAX_MEMBERS or (current.members and len(folder.parts) >= MAX_DEPTH):
            raise CheckpointError(f"{CONFIG}: has more than {MAX_MEMBERS} members, or more than {MAX_DEPTH} levels")
        for name in current.members:
            if not _MEMBER.fullmatch(name) or name in (CONFIG, WEIGHTS, CARD):
                raise CheckpointError(f"{folder / CONFIG}: {name!r} is not the name of a member")
            waiting.append((folder / name, read(folder / name, current, name)))


def file_in(folder: PurePosixPath, name: str) -> str:
    """Return the path of a file of a checkpoint relative to its directory, such as `E02/config.json`."""
    return (folder / name).as_posix()


def named_files(paths: Sequence[str]) -> str:
    """Return the first of some paths for a message, and how many more there are."""
    more = f" and {len(paths) - _MAX_NAMED} more" if len(paths) > _MAX_NAMED else ""
    return ", ".join(repr(path[:100]) for path in paths[:_MAX_NAMED]) + more


def check_bounds(config: Config) -> None:
    """Check that the settings of a checkpoint are not far beyond those of any useful one.

    Raises:
        CheckpointError: one is.
    """
    if len(config.labels) > MAX_SCENES:
        raise CheckpointError(f"{CONFIG}: has {len(config.labels)} scenes; at most {MAX_SCENES} are loaded")
    if (config.frame_size or 0) > MAX_FRAME_SIZE:
        raise CheckpointError(
            f"{CONFIG}: has frames of {config.frame_size} pixels; at most {MAX_FRAME_SIZE} are loaded"
        )
    for part in config.models:
        for name, value in _settings(part.model_dump()):
            if value > LIMITS[name]:
                raise CheckpointError(f"{CONFIG}: {part.name!r} has {name} {value}; at most {LIMITS[name]} is loaded")


def _settings(values: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the settings that have a limit, also nested ones and each number of a tuple."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _settings(value)
        elif name in LIMITS and value is not None:
            yield from ((name, number) for number in (value if isinstance(value, list | tuple) else (value,)))
