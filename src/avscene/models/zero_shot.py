"""A name to a system that answers untrained."""

from typing import TYPE_CHECKING

from avscene.errors import UsageError
from avscene.labels import TAU_SCENES, LabelSet
from avscene.models import SceneModel
from avscene.models.registry import find

if TYPE_CHECKING:
    from avscene.models.device import Runtime  # brings torch, which a list of systems does not need

# CLIP's own prompts for scenes, beside the bare class name that the seed uses (Radford et al. 2021, section 3.1.4).
PROMPT_SETS = {
    "raw": ("{}",),
    "templates": ("a photo of a {}.", "a photo of the {}.", "a video frame of a {}.", "a scene in a {}."),
}


def build(name: str, labels: LabelSet | None, prompts: tuple[str, ...], runtime: "Runtime") -> SceneModel:
    """The model of zero-shot system `name` for `labels` (the ten TAU scenes where None).

    Raises:
        UsageError: an unknown name, one that must be trained, or prompts for a system that takes none.
        WeightsError: the weights are absent.
    """
    row = find(name).zero_shot
    if row is None:
        raise UsageError(
            f"system {name} answers only once it is trained: run: avscene train {name} --data DATA --output DIR, "
            "then use --system DIR"
        )
    labels = TAU_SCENES if labels is None else labels
    if row.architecture == "conse":
        from avscene.models.conse.zero_shot import ConseZeroShot

        if prompts:
            raise UsageError(f"system {name} takes no prompts; they are for CLIP systems")
        return ConseZeroShot(name, labels, runtime)
    from avscene.models.clip.zero_shot import ClipZeroShot

    return ClipZeroShot.load(
        name,
        labels,
        repo_id=str(row.weights),
        runtime=runtime,
        templates=_templates(prompts),
    )


def _templates(prompts: tuple[str, ...]) -> tuple[str, ...]:
    chosen = [template for prompt in prompts or ("raw",) for template in PROMPT_SETS.get(prompt, (prompt,))]
    return tuple(chosen)
