"""Write ensembles as checkpoints that contain their members, as hard links where the file system has them."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save

from avscene.errors import CheckpointError
from avscene.files import sha256_of
from avscene.models.checkpoint import (
    CARD,
    CONFIG,
    WEIGHTS,
    Config,
    new_checkpoint,
    read_config,
    read_member,
    write_files,
)
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import ScoreTable


def member_checksums(members: Mapping[str, Path]) -> dict[str, str]:
    """Return the checksums of the configurations of checkpoints, for `Config.members`.

    Raises:
        CheckpointError: one of them is damaged.
    """
    return {name: read_config(directory).config_sha256 for name, directory in members.items()}


def save_ensemble(
    directory: Path,
    config: Config,
    members: Mapping[str, Path],
    card: str,
    tables: Mapping[str, ScoreTable] | None = None,
) -> None:
    """Write an ensemble; `directory` appears complete or not at all, and no longer depends on its sources.

    Args:
        directory: directory to create; it must not exist, or be empty.
        config: configuration without checksums; its `members` are the `member_checksums` of `members`.
        members: checkpoints by their names in the fusion; ensembles may be members.
        card: model card in Markdown.
        tables: prediction tables to add, by their relative paths.

    Raises:
        CheckpointError: the directory already exists or cannot be written; a member is damaged or does not fit.
    """
    for name, source in members.items():
        read_member(source, config, name)
    with new_checkpoint(directory) as partial:
        write_files(partial, config, save({}), card)
        for name, source in members.items():
            _link_checkpoint(source, partial / name)
        for name, table in (tables or {}).items():
            write_table(partial / name, table)


def _link_checkpoint(source: Path, target: Path) -> None:
    """Link the files of a checkpoint and of its members, without its tables."""
    config = read_config(source)
    weights = source / WEIGHTS
    if not weights.is_file() or sha256_of(weights) != config.weights_sha256:
        raise CheckpointError(f"{weights}: is missing or was changed after it was written; train again or restore it")
    target.mkdir()
    for name in (CONFIG, WEIGHTS, CARD):
        if (source / name).is_file():
            _link((source / name).resolve(), target / name)
    for name in config.members:
        _link_checkpoint(source / name, target / name)


def _link(source: Path, target: Path) -> None:
    """Make a hard link, or a copy where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
