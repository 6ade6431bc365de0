"""Checkpoints: a directory that says everything about itself and is loaded by its path alone.

`model.safetensors` holds what was trained, `config.json` labels, models, fusion, training and metrics, `README.md` the
model card. `config.json` carries the checksum of the weights and one of itself: a changed byte in either is an error.
An ensemble has further checkpoints, its members, as directories in it, and the checksums of their configurations.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from avscene.errors import CheckpointError, UsageError, first_validation_error
from avscene.files import new_directory
from avscene.fusion.tree import Fusion
from avscene.labels import LabelSet
from avscene.mismatch.detector import MismatchDetector
from avscene.models import SceneModel
from avscene.models.cnn.audio_cnn import AudioCnnPart
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.device import Runtime
from avscene.models.fusion_network import FusionNetworkPart
from avscene.models.linear_heads import AudioHeadPart, VideoHeadPart
from avscene.models.openl3.heads import OpenL3HeadPart
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import ScoreTable

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"

Part = Annotated[
    VideoHeadPart | AudioHeadPart | AudioCnnPart | FrameCnnPart | FusionNetworkPart | OpenL3HeadPart,
    Field(discriminator="kind"),
]


class Config(BaseModel):
    """What `config.json` holds.

    `fusion` is over `models`, whose weights are here, and `members`, checkpoints in directories of their names with the
    checksum that each one's `config.json` bears. `metrics` has figures by the names of models, or of the whole, on the
    rows that `measured_on` tells: those that training was stopped on and fusion fitted on, or each row by heads that
    were trained without its group. `mismatch` tells whether sound and picture belong together, from those rows too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["avscene-checkpoint/2"] = "avscene-checkpoint/2"
    name: str
    recipe: str
    labels: tuple[str, ...]
    hop: float
    models: tuple[Part, ...] = ()
    members: dict[str, str] = {}
    fusion: Fusion
    mismatch: MismatchDetector | None = None
    training: dict[str, Any]
    metrics: dict[str, Any]
    measured_on: Literal["validation", "out-of-fold"] = "validation"
    versions: dict[str, str]
    weights_sha256: str = ""
    config_sha256: str = ""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        try:
            labels = self.label_set
        except UsageError as error:
            raise ValueError(str(error)) from error
        names = [*(part.name for part in self.models), *self.members]
        if sorted(names) != sorted(self.fusion.models):
            raise ValueError(f"fusion of {', '.join(self.fusion.models)} does not fit models {', '.join(names)}")
        if not self.fusion.fits(labels):
            raise ValueError("the weights of the fusion are not of exactly the labels")
        if self.mismatch is not None and set(self.mismatch.scenes) != set(labels):
            raise ValueError("the scenes of the mismatch detector are not exactly the labels")
        return self

    @property
    def label_set(self) -> LabelSet:
        """The scenes, in the order of every score."""
        return LabelSet(self.labels)

    def sealed(self, weights: bytes) -> "Config":
        """This configuration with the checksums of `weights` and of itself."""
        checked = self.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
        return checked.model_copy(update={"config_sha256": _digest(checked.model_dump_json())})


@dataclass(frozen=True, slots=True)
class LoadedSystem:
    """A checkpoint in memory: all models, those of members too, and the fusion over them."""

    config: Config
    models: tuple[SceneModel, ...]
    fusion: Fusion

    @property
    def labels(self) -> LabelSet:
        """The scenes it answers in."""
        return self.config.label_set


def save_checkpoint(
    directory: Path,
    config: Config,
    tensors: Mapping[str, Mapping[str, Tensor]],
    card: str,
    tables: Mapping[str, ScoreTable] | None = None,
) -> None:
    """Write a checkpoint; `directory` appears complete or not at all.

    Args:
        directory: where to; it must not exist, or be empty.
        config: what is in it; the checksums are put in here.
        tensors: what each model learnt, by the names of the model and the tensor.
        card: the model card, Markdown.
        tables: score tables to keep in it, by their paths in it, such as `out_of_fold/audio.tsv`.

    Raises:
        CheckpointError: the directory is there already, or cannot be written.
    """
    flat = {f"{model}.{name}": value for model, named in tensors.items() for name, value in named.items()}
    weights = save({name: tensor.detach().cpu().contiguous() for name, tensor in flat.items()})
    with new_checkpoint(directory) as partial:
        write_files(partial, config, weights, card)
        for name, table in (tables or {}).items():
            write_table(partial / name, table)


@contextmanager
def new_checkpoint(directory: Path) -> Iterator[Path]:
    """Yield a directory to fill, which becomes `directory` at the end, or is removed on any error.

    Raises:
        CheckpointError: the directory is there already, or cannot be written.
    """
    try:
        check_free(directory)
        with new_directory(directory) as partial:
            yield partial
    except OSError as error:
        raise CheckpointError(f"{directory}: cannot be written ({error.strerror})") from error


def write_files(directory: Path, config: Config, weights: bytes, card: str) -> None:
    """The three files of a checkpoint."""
    (directory / WEIGHTS).write_bytes(weights)
    (directory / CONFIG).write_text(config.sealed(weights).model_dump_json(indent=2) + "\n", encoding="utf-8")
    (directory / CARD).write_text(card, encoding="utf-8")


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


def load_checkpoint(directory: Path, runtime: Runtime) -> LoadedSystem:
    """A checkpoint's configuration, models and fusion, checked.

    Raises:
        CheckpointError: a file is missing, changed, or of another format; a member is not the one that was put in.
        WeightsError: the weights of a frozen encoder are absent.
    """
    return _load(directory, read_config(directory), runtime)


def _load(directory: Path, config: Config, runtime: Runtime) -> LoadedSystem:
    models = _own_models(directory, config, runtime)
    fusions = {}
    for name in config.members:
        loaded = _load(directory / name, read_member(directory / name, config, name), runtime)
        models += loaded.models
        fusions[name] = loaded.fusion
    names = [model.name for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CheckpointError(f"{directory / CONFIG}: two of its members have a model {twice[0]!r}; train one anew")
    return LoadedSystem(config, models, config.fusion.within(fusions))


def _own_models(directory: Path, config: Config, runtime: Runtime) -> tuple[SceneModel, ...]:
    tensors = _read_weights(directory, config)
    models = []
    for part in config.models:
        prefix = f"{part.name}."
        own = {name.removeprefix(prefix): tensors.pop(name) for name in [*tensors] if name.startswith(prefix)}
        try:
            models.append(part.build(config.label_set, own, runtime))
        except (CheckpointError, UsageError) as error:
            raise CheckpointError(f"{directory / WEIGHTS}: {error}") from error
    if tensors:
        raise CheckpointError(f"{directory / WEIGHTS}: {next(iter(tensors))} belongs to no model of {CONFIG}")
    return tuple(models)


def read_member(directory: Path, ensemble: Config, name: str) -> Config:
    """The configuration of the checkpoint `directory`, once it has proved to be that member of an ensemble.

    Raises:
        CheckpointError: it is damaged, another one, or has other scenes or another hop.
    """
    member = read_config(directory)
    if member.config_sha256 != ensemble.members.get(name):
        raise CheckpointError(f"{directory}: is not the {name} that {ensemble.name} was made of (SHA-256)")
    if (member.labels, member.hop) != (ensemble.labels, ensemble.hop):
        raise CheckpointError(f"{directory}: has other scenes or another hop than {ensemble.name}")
    return member


def is_checkpoint(directory: str | Path) -> bool:
    """Whether `directory` looks like a checkpoint; never raises, whatever the name."""
    return any(os.path.isfile(os.path.join(directory, name)) for name in (CONFIG, WEIGHTS))  # noqa: PTH113, PTH118


def read_config(directory: Path) -> Config:
    """The configuration of a checkpoint, checked against its checksum; its weights are not looked at.

    Raises:
        CheckpointError: it is missing, changed, or of another format.
    """
    path = directory / CONFIG
    try:
        content = path.read_bytes()
        config = Config.model_validate_json(content)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise CheckpointError(
            f"{path}: {first_validation_error(error)}; the checkpoint is damaged or of another version"
        ) from error
    if config.config_sha256 != _digest(content):
        raise CheckpointError(f"{path}: was changed after it was written (SHA-256); train again or restore it")
    return config


def _digest(content: str | bytes) -> str:
    """SHA-256 of what the JSON of a configuration says, but for that checksum itself."""
    told = json.loads(content)
    told.pop("config_sha256", None)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _read_weights(directory: Path, config: Config) -> dict[str, Tensor]:
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
