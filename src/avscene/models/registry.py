"""The table of systems: what each name stands for. Imports no torch."""

import difflib
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from avscene.errors import UsageError, WeightsError
from avscene.records import Needs

FILES = ("seed.yaml", "ours.yaml")
Backbones = Literal["seed", "embedded"]  # the networks of the table, or the small ones that come as packages


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ZeroShotRow(_Row):
    """A network that answers untrained, and the hub repository of its weights if they are not installed with us."""

    architecture: Literal["clip", "conse"]
    weights: str | None = None


class NetworkRow(_Row):
    """A network to fine-tune on log-mels or frames, as timm calls it; `plan` holds what differs from usual settings."""

    backbone: str
    stand_in: str
    plan: dict[str, Any] = {}

    def of(self, backbones: Backbones) -> str:
        """The network to take."""
        return self.backbone if backbones == "seed" else self.stand_in


class FusionNetworkRow(_Row):
    """A late fusion network over the embeddings of frozen encoders."""

    encoders: tuple[str, ...]
    stand_ins: tuple[str, ...]

    def of(self, backbones: Backbones) -> tuple[str, ...]:
        """The encoders to take."""
        return self.encoders if backbones == "seed" else self.stand_ins


class EnsembleRow(_Row):
    """Other systems under a rule (of one there is nothing to fuse), then a post-processing; fitted on validation."""

    members: tuple[str, ...]
    rule: Literal["mean", "product", "classwise", "log-pool"] | None = None
    postprocess: Literal["power", "vector", "smooth"] | None = None


class PaperResult(_Row):
    """What the seed reports: natural log loss, accuracy in per cent."""

    log_loss: float
    accuracy: float


class SystemRow(_Row):
    """One row of `systems/*.yaml`: what it is, in exactly one of the ways to be a system."""

    title: str
    needs: Needs
    zero_shot: ZeroShotRow | None = None
    network: NetworkRow | None = None
    fusion_network: FusionNetworkRow | None = None
    openl3: Needs | None = None
    ensemble: EnsembleRow | None = None
    published: PaperResult | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.zero_shot, self.network, self.fusion_network, self.openl3, self.ensemble)
        if sum(way is not None for way in ways) != 1:
            raise ValueError(f"{self.title}: exactly one way to be a system is wanted")
        return self

    @property
    def trained(self) -> bool:
        """Whether it answers only after training."""
        return self.zero_shot is None


@lru_cache(maxsize=1)
def systems() -> dict[str, SystemRow]:
    """Every system that has a name, by its name, in the order of the seed's table, then ours.

    Raises:
        WeightsError: a file of the installation is damaged.
    """
    table: dict[str, SystemRow] = {}
    for name in FILES:
        rows = yaml.safe_load((files("avscene.systems") / name).read_text(encoding="utf-8"))
        try:
            table |= {system: SystemRow.model_validate(row) for system, row in rows.items()}
        except ValidationError as error:
            raise WeightsError(f"{name}: {error.errors()[0]['msg']}; reinstall avscene") from error
    return table


def find(name: str) -> SystemRow:
    """The row of system `name`.

    Raises:
        UsageError: there is none; the message lists the known ones and the nearest.
    """
    table = systems()
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name.lower(), [known.lower() for known in table], n=1, cutoff=0.5)
    hint = next((f" Did you mean {known}?" for known in table if near and known.lower() == near[0]), "")
    raise UsageError(f"{name!r} is neither a system nor a checkpoint directory.{hint} Systems: {', '.join(table)}")


def leaves(name: str) -> tuple[str, ...]:
    """The systems of one model that `name` is made of, each once, in the order of the table's rows."""
    row = find(name)
    if row.ensemble is None:
        return (name,)
    return tuple(dict.fromkeys(leaf for member in row.ensemble.members for leaf in leaves(member)))
