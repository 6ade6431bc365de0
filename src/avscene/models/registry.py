"""The table of systems: what each name stands for, what it needs and whether its weights are here."""

import difflib
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from avscene.errors import AvsceneError, UsageError, WeightsError
from avscene.labels import TAU_SCENES, LabelSet
from avscene.models import SceneModel, packaged
from avscene.records import Modality

if TYPE_CHECKING:
    from avscene.models.device import Runtime  # brings torch, which a list of systems does not need

# A default is the system of least published log loss whose weights can be had, and `embedded` where none can.
DEFAULT_ORDER = ("C02", "C01", "C03", "embedded")

# CLIP's own prompts for scenes, beside the bare class name that the seed uses (Radford et al. 2021, section 3.1.4).
PROMPT_SETS = {
    "raw": ("{}",),
    "templates": ("a photo of a {}.", "a photo of the {}.", "a video frame of a {}.", "a scene in a {}."),
}


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelRow(_Row):
    """A network and the hub repository of its weights, if they are not installed with the package."""

    architecture: Literal["clip-zero-shot", "conse"]
    weights: str | None = None


class Published(_Row):
    """What the seed reports: natural log loss, accuracy in per cent."""

    log_loss: float
    accuracy: float


class SystemRow(_Row):
    """One row of `systems/*.yaml`."""

    title: str
    model: ModelRow
    needs: Modality = "video"
    published: Published | None = None


@lru_cache(maxsize=1)
def systems() -> dict[str, SystemRow]:
    """Every system that has a name, by its name.

    Raises:
        WeightsError: a file of the installation is damaged.
    """
    table: dict[str, SystemRow] = {}
    for path in sorted(files("avscene.systems").iterdir(), key=lambda path: path.name):
        if path.name.endswith(".yaml"):
            rows = yaml.safe_load(path.read_text(encoding="utf-8"))
            try:
                table |= {name: SystemRow.model_validate(row) for name, row in rows.items()}
            except ValidationError as error:
                raise WeightsError(f"{path.name}: {error.errors()[0]['msg']}; reinstall avscene") from error
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
    raise UsageError(
        f"{name!r} is neither a system nor a checkpoint directory.{hint} Systems: {', '.join(sorted(table))}"
    )


def build(name: str, labels: LabelSet | None, prompts: tuple[str, ...], runtime: "Runtime") -> SceneModel:
    """The model of zero-shot system `name` for `labels` (the ten TAU scenes where None).

    Raises:
        UsageError: an unknown name, or prompts for a system that takes none.
        WeightsError: the weights are absent.
    """
    row = find(name)
    labels = TAU_SCENES if labels is None else labels
    if row.model.architecture == "conse":
        from avscene.models.embedded import EmbeddedZeroShot

        if prompts:
            raise UsageError(f"system {name} takes no prompts; they are for CLIP systems")
        return EmbeddedZeroShot(name, labels, runtime)
    from avscene.models.clip_zero_shot import ClipZeroShot

    return ClipZeroShot.load(
        name,
        labels,
        repo_id=str(row.model.weights),
        templates=_templates(prompts),
        device=runtime.device,
        precision="bfloat16" if runtime.dtype.itemsize == 2 else "float32",
        offline=runtime.offline,
    )


def _templates(prompts: tuple[str, ...]) -> tuple[str, ...]:
    chosen = [template for prompt in prompts or ("raw",) for template in PROMPT_SETS.get(prompt, (prompt,))]
    return tuple(chosen)


def presence(name: str) -> tuple[bool, str]:
    """Whether the weights of system `name` are on this machine, and if not, what to do about it. No network."""
    row = find(name)
    if row.model.architecture == "conse":
        try:
            packaged.EFFICIENTNET_LITE0.path()
            packaged.SENTENCE_ENCODER.path()
        except AvsceneError as error:
            return False, str(error)
        return True, "installed"
    from avscene.models import hub

    if hub.is_cached(str(row.model.weights), hub.OPEN_CLIP_FILES):
        return True, "cached"
    return False, f"fetched from the hub ({row.model.weights}) when first used"


def best_available(*, offline: bool) -> str:
    """The default system: the first of DEFAULT_ORDER that is present; else the first of the hub; else `embedded`.

    Raises:
        WeightsError: not even the embedded weights are installed.
    """
    from avscene.models import hub

    *clip_systems, embedded = DEFAULT_ORDER
    for name in clip_systems:
        if presence(name)[0]:
            return name
    for name in clip_systems if not offline else ():
        repo_id = str(find(name).model.weights)
        if hub.can_fetch(repo_id, hub.OPEN_CLIP_FILES):
            return name
        break  # one look tells whether there is a hub at all
    present, why = presence(embedded)
    if not present:
        raise WeightsError(f"no system has its weights here: {why}")
    return embedded
