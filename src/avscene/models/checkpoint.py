"""Checkpoints: a directory that says everything about itself and is loaded by its path alone.

`model.safetensors` holds the heads, `config.json` labels, front ends, fusion, training and metrics, `README.md` the
model card. `config.json` carries the checksum of the weights and one of itself: a changed byte in either is an error.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from avscene.errors import CheckpointError
from avscene.features.frames import FrameSpec
from avscene.features.logmel import LogMelSpec
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.frozen import FrozenModel, LinearHead, PictureEncoder, SoundEncoder
from avscene.models.packaged import EFFICIENTNET_LITE0
from avscene.records import FloatArray

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PicturePart(_Part):
    """A head on the frame encoder."""

    name: str
    needs: Literal["video"] = "video"
    encoder: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    frames: FrameSpec


class SoundPart(_Part):
    """A head on the log-mel encoder."""

    name: str
    needs: Literal["audio"] = "audio"
    encoder: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    log_mel: LogMelSpec
    image_size: tuple[int, int]  # height and width in pixels at which a log-mel is drawn


class FusionPart(_Part):
    """The rule over the models, with one exponent for each by its name."""

    rule: Literal["log-pool"] = "log-pool"
    exponents: dict[str, float]


class Config(_Part):
    """What `config.json` holds."""

    format: Literal["avscene-checkpoint/1"] = "avscene-checkpoint/1"
    name: str
    recipe: str
    labels: tuple[str, ...]
    hop: float
    models: tuple[Annotated[PicturePart | SoundPart, Field(discriminator="needs")], ...]
    fusion: FusionPart
    training: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    encoder_sha256: str = EFFICIENTNET_LITE0.sha256
    weights_sha256: str = ""
    config_sha256: str = ""

    def sealed(self, weights: bytes) -> "Config":
        """This configuration with the checksums of `weights` and of itself."""
        checked = self.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
        return checked.model_copy(update={"config_sha256": checked._digest()})

    def _digest(self) -> str:
        content = self.model_dump(mode="json", exclude={"config_sha256"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def is_intact(self) -> bool:
        """Whether the content still has the checksum it was sealed with."""
        return self.config_sha256 == self._digest()


def save_checkpoint(directory: Path, config: Config, heads: Mapping[str, LinearHead], card: str) -> None:
    """Write a checkpoint; `directory` appears complete or not at all.

    Raises:
        CheckpointError: the directory is there already, or cannot be written.
    """
    tensors: dict[str, FloatArray] = {}
    for name, head in heads.items():
        tensors[f"{name}.weight"] = head.weight.astype(np.float32)
        tensors[f"{name}.bias"] = head.bias.astype(np.float32)
    weights = save(tensors)
    try:
        check_free(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        try:
            (partial / WEIGHTS).write_bytes(weights)
            (partial / CONFIG).write_text(config.sealed(weights).model_dump_json(indent=2) + "\n", encoding="utf-8")
            (partial / CARD).write_text(card, encoding="utf-8")
            partial.chmod(0o755)
            partial.replace(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise CheckpointError(f"{directory}: cannot be written ({error.strerror})") from error


def check_free(directory: Path) -> None:
    """Make sure that a checkpoint can be written to `directory`.

    Raises:
        CheckpointError: something is there already, or the place is not writable.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise CheckpointError(f"{directory}: is there already; name another --output or remove it")
    ancestor = next(parent for parent in directory.absolute().parents if parent.exists())
    if not os.access(ancestor, os.W_OK):
        raise CheckpointError(f"{directory}: cannot be written ({ancestor} is not writable)")


def load_checkpoint(directory: Path, runtime: Runtime) -> tuple[Config, tuple[FrozenModel, ...]]:
    """A checkpoint's configuration and its models, checked.

    Raises:
        CheckpointError: a file is missing, changed, or of another format.
        WeightsError: the encoder's weights are not installed.
    """
    config = _read_config(directory)
    labels = LabelSet(config.labels)
    if set(config.fusion.exponents) != {part.name for part in config.models}:
        raise CheckpointError(f"{directory / CONFIG}: fusion.exponents does not name its models; train again")
    tensors = _read_weights(directory, config)
    models = []
    for part in config.models:
        encoder: PictureEncoder | SoundEncoder
        if isinstance(part, PicturePart):
            encoder = PictureEncoder(part.frames, runtime)
        else:
            encoder = SoundEncoder(part.log_mel, runtime, part.image_size)
        weight, bias = tensors.get(f"{part.name}.weight"), tensors.get(f"{part.name}.bias")
        fits = weight is not None and weight.shape == (encoder.embedding_size, len(labels))
        if weight is None or bias is None or not fits or bias.shape != (len(labels),):
            raise CheckpointError(f"{directory / WEIGHTS}: the head of model {part.name!r} is missing or does not fit")
        models.append(FrozenModel(part.name, labels, encoder, LinearHead(weight, bias)))
    return config, tuple(models)


def is_checkpoint(directory: str | Path) -> bool:
    """Whether `directory` looks like a checkpoint; never raises, whatever the name."""
    return any(os.path.isfile(os.path.join(directory, name)) for name in (CONFIG, WEIGHTS))  # noqa: PTH113, PTH118


def _read_config(directory: Path) -> Config:
    path = directory / CONFIG
    try:
        config = TypeAdapter(Config).validate_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise CheckpointError(
            f"{path}: {where}: {first['msg']}; the checkpoint is damaged or of another version"
        ) from error
    if not config.is_intact():
        raise CheckpointError(f"{path}: was changed after it was written (SHA-256); train again or restore it")
    if config.encoder_sha256 != EFFICIENTNET_LITE0.sha256:
        raise CheckpointError(
            f"{path}: was trained on another encoder (SHA-256 {config.encoder_sha256[:12]}...); train again"
        )
    return config


def _read_weights(directory: Path, config: Config) -> dict[str, FloatArray]:
    path = directory / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != config.weights_sha256:
        raise CheckpointError(f"{path}: was changed after it was written (SHA-256); train again or restore it")
    try:
        return dict(load(content))
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is not a safetensors file") from error
