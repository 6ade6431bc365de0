"""Build the model of a zero-shot system from its name."""

from importlib import import_module
from typing import TYPE_CHECKING

from avscene.labels import TAU_SCENES, LabelSet
from avscene.models import SceneModel
from avscene.models.registry import ZeroShotSystem, check_trained, find

if TYPE_CHECKING:
    from avscene.models.device import Runtime  # brings torch, which a list of systems does not need


def build(name: str, labels: LabelSet | None, prompts: tuple[str, ...], runtime: "Runtime") -> SceneModel:
    """Build the model of zero-shot system `name` for `labels` (the ten TAU scenes where None).

    Raises:
        UsageError: an unknown name, one that must be trained, or prompts for a system that takes none.
        WeightsError: the weights are absent.
    """
    row = find(name)
    check_trained(row)
    assert isinstance(row, ZeroShotSystem)
    family = import_module(f"avscene.models.{row.family}.zero_shot")
    model: SceneModel = family.load_zero_shot(row, TAU_SCENES if labels is None else labels, prompts, runtime)
    return model
