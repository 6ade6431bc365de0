"""Write and load checkpoints: directories that hold all that is needed to use a trained system.

`model.safetensors` holds the trained weights, `config.json` labels, models, fusion, training and metrics, `README.md`
the model card. `config.json` contains checksums of the weights and of itself: a changed byte in either is an error.
An ensemble contains its members as checkpoints in subdirectories, and the checksums of their configurations.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from avscene.errors import CheckpointError, UsageError, first_validation_error
from avscene.features.content import DEFAULT_CONTENT, ContentSpec
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
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import ScoreTable

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
# Tables of the whole system on rows that its models were not trained on: of linear heads, and of other systems.
HELD_OUT_TABLES = ("out_of_fold/fused.tsv", "validation.tsv")

Part = Annotated[
    VideoHeadPart | AudioHeadPart | AudioCnnPart | FrameCnnPart | FusionNetworkPart | OpenL3HeadPart,
    Field(discriminator="kind"),
]


class Config(BaseModel):
    """Content of `config.json`.

    Attributes:
        format: format of the checkpoint.
        name: name of the system.
        recipe: name under which it was trained.
        labels: scenes, in the order of all probabilities.
        hop: length of a segment in seconds.
        frame_size: pixels of the shorter side of the frames that its models were trained on; without it, checkpoints of
            earlier versions, they get frames of the largest size that one of them takes.
        models: models whose weights are in this checkpoint.
        members: checksums of the configurations of member checkpoints, by the names of their directories.
        fusion: fusion of `models` and `members`.
        content: thresholds of the audio and frames that are scored and trained on; systems trained before there were
            any have these, too, and score the same but for what holds no content.
        audio_rate: sample rate in Hz of the audio that it was trained on: the median of the recordings, or that of the
            store; None if it was not trained on audio or this is not known.
        mismatch: detector of audio and video that do not belong together, fitted on the rows of `measured_on`.
        training: provenance and settings of training.
        metrics: metrics on the rows of `measured_on`, by the names of models and of the system.
        measured_on: validation rows, which training was stopped on and fusion fitted on, or all rows, each scored by
            heads that were trained without its group.
        versions: versions of libraries.
        weights_sha256: checksum of `model.safetensors`.
        config_sha256: checksum of the other fields (`config_checksum`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["avscene-checkpoint/2"] = "avscene-checkpoint/2"
    name: str
    recipe: str
    labels: tuple[str, ...]
    hop: float
    frame_size: PositiveInt | None = None
    models: tuple[Part, ...] = ()
    members: dict[str, str] = {}
    fusion: Fusion
    content: ContentSpec = DEFAULT_CONTENT
    audio_rate: int | None = None
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
        """Scenes, in the order of all probabilities."""
        return LabelSet(self.labels)

    def with_checksums(self, weights: bytes) -> "Config":
        """Return this configuration with the checksums of `weights` and of itself."""
        config = self.model_copy(update={"weights_sha256": hashlib.sha256(weights).hexdigest()})
        return config.model_copy(update={"config_sha256": config_checksum(config.model_dump_json())})


@dataclass(frozen=True, slots=True)
class LoadedSystem:
    """A checkpoint in memory: all models, including those of members, and their fusion."""

    config: Config
    models: tuple[SceneModel, ...]
    fusion: Fusion

    @property
    def labels(self) -> LabelSet:
        """Scenes, in the order of all probabilities."""
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
        directory: directory to create; it must not exist, or be empty.
        config: configuration without checksums.
        tensors: trained tensors, by the names of the model and the tensor.
        card: model card in Markdown.
        tables: prediction tables to add, by their relative paths, such as `out_of_fold/audio.tsv`.

    Raises:
        CheckpointError: the directory already exists, or cannot be written.
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
        CheckpointError: the directory already exists, or cannot be written.
    """
    try:
        check_free(directory)
        with new_directory(directory) as partial:
            yield partial
    except OSError as error:
        raise CheckpointError(f"{directory}: cannot be written ({error.strerror})") from error


def write_files(directory: Path, config: Config, weights: bytes, card: str) -> None:
    """Write the three files of a checkpoint."""
    (directory / WEIGHTS).write_bytes(weights)
    (directory / CONFIG).write_text(config.with_checksums(weights).model_dump_json(indent=2) + "\n", encoding="utf-8")
    (directory / CARD).write_text(card, encoding="utf-8")


def check_free(directory: Path, *, overwrite: bool = False) -> None:
    """Check that a checkpoint can be written to `directory`.

    Args:
        directory: where.
        overwrite: whether a checkpoint that is there will be replaced.

    Raises:
        CheckpointError: it already exists and is not empty, or is not writable.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        if not is_checkpoint(directory):
            raise CheckpointError(f"{directory}: already exists, and is not a checkpoint; try: another --output")
        if not overwrite:
            raise CheckpointError(f"{directory}: already exists; try: --overwrite, or another --output")
    ancestor = next(parent for parent in directory.absolute().parents if parent.exists())
    if not os.access(ancestor, os.W_OK):
        raise CheckpointError(f"{directory}: cannot be written ({ancestor} is not writable)")


def load_checkpoint(directory: Path, runtime: Runtime) -> LoadedSystem:
    """Load a checkpoint, with its members, and verify its checksums.

    Raises:
        CheckpointError: a file is missing, was changed, or has another format; a member was replaced.
        WeightsError: the weights of a frozen encoder are absent.
    """
    return _load(directory, read_config(directory), runtime)


def _load(directory: Path, config: Config, runtime: Runtime) -> LoadedSystem:
    models = _build_models(directory, config, runtime)
    fusions = {}
    for name in config.members:
        loaded = _load(directory / name, read_member(directory / name, config, name), runtime)
        models += loaded.models
        fusions[name] = loaded.fusion
    names = [model.name for model in models]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise CheckpointError(
            f"{directory / CONFIG}: two of its members have a model {duplicates[0]!r}; train one of them again"
        )
    return LoadedSystem(config, models, config.fusion.within(fusions))


def _build_models(directory: Path, config: Config, runtime: Runtime) -> tuple[SceneModel, ...]:
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
    """Read the configuration of checkpoint `directory`, and verify that it is member `name` of `ensemble`.

    Raises:
        CheckpointError: it is damaged, is another checkpoint, or has other scenes, another hop or other frames.
    """
    member = read_config(directory)
    if member.config_sha256 != ensemble.members.get(name):
        raise CheckpointError(f"{directory}: is not the member {name} that {ensemble.name} was made with (SHA-256)")
    if any(getattr(member, name) != getattr(ensemble, name) for name in ("labels", "hop", "frame_size")):
        raise CheckpointError(f"{directory}: has other scenes, another hop or other frames than {ensemble.name}")
    return member


def is_checkpoint(directory: str | Path) -> bool:
    """Return whether `directory` contains a file of a checkpoint; never raises, whatever the name."""
    return any(os.path.isfile(os.path.join(directory, name)) for name in (CONFIG, WEIGHTS))  # noqa: PTH113, PTH118


def read_config(directory: Path) -> Config:
    """Read the configuration of a checkpoint and verify its checksum; the weights are not read.

    Raises:
        CheckpointError: it is missing, was changed, or has another format.
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
    if config.config_sha256 != config_checksum(content):
        raise CheckpointError(f"{path}: was changed after it was written (SHA-256); train again or restore it")
    return config


def config_checksum(content: str | bytes) -> str:
    """Return the SHA-256 of the values in the JSON of a configuration, without that checksum itself."""
    values = json.loads(content)
    values.pop("config_sha256", None)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


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


def read_held_out_table(directory: Path) -> ScoreTable:
    """Read the prediction table of a checkpoint on rows that its models were not trained on.

    Raises:
        CheckpointError: it is missing.
        DataError: it is damaged.
    """
    for name in HELD_OUT_TABLES:
        if (directory / name).is_file():
            return read_table(directory / name)
    raise CheckpointError(f"{directory}: has neither {' nor '.join(HELD_OUT_TABLES)}, on which its risk is measured")
