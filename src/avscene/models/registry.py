"""Read the named systems from `systems/*.yaml`: one row per system, one class per kind of row. Imports no torch."""

import os
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from avscene.errors import UsageError, WeightsError, did_you_mean, first_validation_error
from avscene.files import did_you_mean_path
from avscene.fusion.rules import RuleName
from avscene.fusion.steps import StepName
from avscene.records import Backbones, Needs
from avscene.storage.urls import is_remote, shown

FILES = ("paper.yaml", "ours.yaml")
ALIASES = {"embedded": "conse"}  # names that systems had before
# Values that the option `backbones` had before; checkpoints and work directories may still hold them.
BACKBONES_ALIASES: dict[str, Backbones] = {"seed": "paper", "embedded": "small"}


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PaperResult(_Settings):
    """Result in the paper: natural log loss, and accuracy in per cent."""

    log_loss: float
    accuracy: float


class _SystemRow(_Settings):
    """Fields that every row has; `name` is the key of the row, `paper` is None for systems that the paper lacks."""

    trained: ClassVar[bool] = True  # whether it must be trained before it can classify

    name: str
    title: str
    needs: Needs
    paper: PaperResult | None = None


class ZeroShotSystem(_SystemRow):
    """A model that classifies untrained, built by `load_zero_shot` of the module `avscene.models.FAMILY.zero_shot`.

    Its weights are those of the hub repository `weights` or of installed `packages`.
    """

    trained: ClassVar[bool] = False

    kind: Literal["zero_shot"]
    family: str
    weights: str | None = None
    packages: tuple[str, ...] = ()


class NetworkSystem(_SystemRow):
    """A network to fine-tune on log-mels or frames, by timm's name; `plan` overrides the defaults of `NetworkPlan`."""

    kind: Literal["network"]
    backbone: str
    stand_in: str
    plan: dict[str, Any] = {}

    def backbone_for(self, backbones: Backbones) -> str:
        """Return the name of the network to fine-tune."""
        return self.backbone if backbones == "paper" else self.stand_in


class FusionNetworkSystem(_SystemRow):
    """A late fusion network over the embeddings of frozen encoders."""

    kind: Literal["fusion_network"]
    encoders: tuple[str, ...]
    stand_ins: tuple[str, ...]

    def encoders_for(self, backbones: Backbones) -> tuple[str, ...]:
        """Return the names of the encoders whose embeddings are fused."""
        return self.encoders if backbones == "paper" else self.stand_ins


class OpenL3System(_SystemRow):
    """The head of the official baseline on OpenL3 embeddings of what the system needs."""

    kind: Literal["openl3"]


class AudioHead(_Settings):
    """A linear head on a frozen encoder of log-mels, drawn as images of `image_size` (height, width) in pixels."""

    input: Literal["audio"]
    encoder: Literal["tf_efficientnet_lite0"]
    log_mel: dict[str, Any]
    image_size: tuple[int, int]


class VideoHead(_Settings):
    """A linear head on a frozen encoder of frames, which has its own image size."""

    input: Literal["video"]
    encoder: str


class HeadsSystem(_SystemRow):
    """Linear heads on frozen encoders, by the names of their models, and the rule that fuses them."""

    kind: Literal["heads"]
    heads: dict[str, Annotated[AudioHead | VideoHead, Field(discriminator="input")]]
    rule: RuleName


class EnsembleSystem(_SystemRow):
    """Other systems under a rule (none for a single member), then a post-processing; fitted on validation rows."""

    kind: Literal["ensemble"]
    members: tuple[str, ...]
    rule: RuleName | None = None
    postprocess: StepName | None = None


SystemRow = Annotated[
    ZeroShotSystem | NetworkSystem | FusionNetworkSystem | OpenL3System | HeadsSystem | EnsembleSystem,
    Field(discriminator="kind"),
]


@lru_cache(maxsize=1)
def systems() -> dict[str, SystemRow]:
    """Return every named system by its name: first the paper's in the order of its tables, then ours.

    Raises:
        WeightsError: a file of the installation is damaged.
    """
    adapter: TypeAdapter[SystemRow] = TypeAdapter(SystemRow)
    table: dict[str, SystemRow] = {}
    for file in FILES:
        rows = yaml.safe_load((files("avscene.systems") / file).read_text(encoding="utf-8"))
        try:
            table |= {name: adapter.validate_python({"name": name, **row}) for name, row in rows.items()}
        except ValidationError as error:
            raise WeightsError(f"{file}: {first_validation_error(error)}; reinstall avscene") from error
    return table


def is_system(name: str) -> bool:
    """Return whether `name` is the name of a system or an alias of one."""
    return ALIASES.get(name, name) in systems()


def find(name: str) -> SystemRow:
    """Return the row of system `name`, which may be an alias; the row's own `name` never is.

    Raises:
        UsageError: there is none; the message lists the known names and the nearest.
    """
    table = systems()
    name = ALIASES.get(name, name)
    if name in table:
        return table[name]
    near = did_you_mean(name, (*table, *ALIASES))
    raise UsageError(f"{name!r} is neither a system nor a checkpoint directory{near or ';'} try: avscene systems")


def check_usable(system: str) -> None:
    """Check without loading anything that `system` can be one to classify with: a directory, or an untrained system.

    Raises:
        UsageError: there is no such directory or name, or the system must be trained first.
    """
    if os.path.isdir(system) or system.startswith("hf://"):  # noqa: PTH112  # never raises
        return
    if is_remote(system):
        raise UsageError(f"--system {shown(system)}: URLs are not downloaded here; try: download it, and give its path")
    if is_path(system):
        raise UsageError(f"{system}: no such directory{did_you_mean_path(system)}")
    check_trained(find(system))


def check_trained(row: SystemRow) -> None:
    """Raise UsageError if a named system must be trained before it can classify."""
    if row.trained:
        raise UsageError(
            f"{row.name!r} must be trained first: avscene train {row.name} --data DATA --output DIR; then --system DIR"
        )


def is_path(name: str) -> bool:
    """Return whether a name has the form of a path, such as `runs/fast`."""
    return os.sep in name or name.startswith(("~", "."))


def leaves(name: str) -> tuple[str, ...]:
    """Return the systems without members that `name` is made of, each once, in the order of the rows."""
    row = find(name)
    if not isinstance(row, EnsembleSystem):
        return (row.name,)
    return tuple(dict.fromkeys(leaf for member in row.members for leaf in leaves(member)))
