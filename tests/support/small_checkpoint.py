"""Small checkpoints for photographs and video that need no training: linear heads of random numbers."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from avscene.fusion.rules import Mean
from avscene.fusion.tree import Fusion
from avscene.models.checkpoint import CONFIG, WEIGHTS, Config, config_checksum, save_checkpoint
from avscene.models.efficientnet_lite import FRAMES
from avscene.models.ensemble_checkpoint import member_checksums, save_ensemble
from avscene.models.linear_heads import LinearHead, VideoHeadPart
from avscene.training.card import model_card

LABELS = ("cave", "furnace", "street café")
N_FEATURES = 1984  # of the video encoder


def small_config(name: str, **changes: object) -> Config:
    given: dict[str, object] = {
        "name": name,
        "recipe": name,
        "labels": LABELS,
        "hop": 1.0,
        "fusion": Fusion.of(name),
        "training": {"data": "my recordings (2026)", "held_out": None},
        "metrics": {"validation": {"log_loss": 0.25, "accuracy": 0.75, "n": 20}},
        "versions": {"avscene": "0.1.0"},
    }
    return Config(**{**given, **changes})


def save_small(directory: Path, name: str = "V1", seed: int = 0) -> Path:
    """A checkpoint with one model, of frames."""
    random = np.random.default_rng(seed)
    head = LinearHead(random.normal(0, 0.02, (N_FEATURES, len(LABELS))), random.normal(0, 1, len(LABELS)))
    config = small_config(name, models=(VideoHeadPart(name=name, frames=FRAMES),))
    save_checkpoint(directory, config, {name: head.tensors()}, model_card(config))
    return directory


def save_pair(directory: Path) -> Path:
    """An ensemble of two such checkpoints, V1 and V2; their directories are beside it."""
    members = {name: save_small(directory.parent / name, name, seed) for seed, name in enumerate(("V1", "V2"))}
    fusion = Fusion(name="pair", members=tuple(members), rule=Mean())
    config = small_config("pair", members=member_checksums(members), fusion=fusion)
    save_ensemble(directory, config, members, model_card(config))
    return directory


def forge(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a configuration and give it the checksums of its new content and weights, as an attacker would."""
    path = directory / CONFIG
    values = json.loads(path.read_text())
    values["weights_sha256"] = hashlib.sha256((directory / WEIGHTS).read_bytes()).hexdigest()
    change(values)
    values["config_sha256"] = config_checksum(json.dumps(values))
    path.write_text(json.dumps(values))
