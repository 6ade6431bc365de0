"""Ensembles as checkpoints: a directory with its members inside, which share the bytes of their sources on disk."""

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
    """What `Config.members` says of these checkpoints: the checksum that each one's configuration bears.

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
    """Write an ensemble; `directory` appears complete or not at all, and does without its sources from then on.

    Args:
        directory: where to; it must not exist, or be empty.
        config: what is in it; its `members` are the `member_checksums` of `members`.
        members: checkpoints by the names that the fusion gives them; ensembles may be members.
        card: the model card, Markdown.
        tables: score tables to keep in it, by their paths in it.

    Raises:
        CheckpointError: the directory is there already or cannot be written; a member is damaged or does not fit.
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
    """The files of a checkpoint and of its members, without what else lies beside them."""
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
    """A hard link, or a copy where the file system has none between these places."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
