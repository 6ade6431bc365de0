"""Describe what recordings and their segments lack: modalities that are absent, silent or of a single colour."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from avscene.features.content import ContentFilter
from avscene.models import SceneModel
from avscene.records import MODALITY_NAMES, BoolArray, FloatArray, Modality, Needs

BLANK: dict[Modality, str] = {"audio": "silent audio", "video": "frames of a single colour"}
BLANK_THROUGHOUT: dict[Modality, str] = {"audio": "the audio is silent", "video": "the video is of a single colour"}
FRAGMENTS = "no segment has enough {}"  # of a modality that the recording has


@dataclass(frozen=True, slots=True)
class Missing:
    """What segments without a modality have in its place, and why no segment has it, if none has."""

    in_segments: Mapping[Modality, str] = field(default_factory=dict)
    throughout: Mapping[Modality, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: ContentFilter, present: Iterable[Modality]) -> "Missing":
        """Return what is missing of the modalities that a recording has and that were decoded."""
        in_segments: dict[Modality, str] = {}
        throughout: dict[Modality, str] = {}
        for modality in present:
            n_blank = content.n_blank[modality]
            n_without = content.n_segments - content.n_with[modality]
            if n_blank:
                absent = [f"no {modality}"] if n_blank < n_without else []
                in_segments[modality] = " or ".join([*absent, BLANK[modality]])
            if n_without and not content.n_with[modality]:
                reason = BLANK_THROUGHOUT[modality] if n_blank else FRAGMENTS.format(modality)
                throughout[modality] = reason
        return cls(in_segments, throughout)


def modality_error(
    source: str, system: str, needs: Iterable[Needs], modalities: Mapping[Modality, bool], missing: Missing
) -> str:
    """Return the message for a recording without the modalities that a system needs."""
    needed = " or ".join(sorted({MODALITY_NAMES[need] for need in needs}))
    present = " and ".join(modality for modality, is_present in modalities.items() if is_present)
    if missing.throughout:
        return f"{source}: {' and '.join(missing.throughout.values())}; system {system} needs {needed}"
    return f"{source}: has {present or 'neither'} only; system {system} needs {needed}"


def skipped_warnings(
    models: Sequence[SceneModel], by_model: FloatArray, is_scored: BoolArray, missing: Missing
) -> Iterator[str]:
    """Yield warnings for models that did not score all of the scored segments, and for segments that none scored.

    Args:
        models: The models.
        by_model: Their probabilities (n_models, n_segments, n_scenes); NaN where one did not score.
        is_scored: Whether any model scored each segment (n_segments,).
        missing: What the recording lacks.
    """
    n_segments = len(is_scored)
    for model, probabilities in zip(models, by_model, strict=True):
        skipped = np.isnan(probabilities[:, 0]) & is_scored
        if skipped.all():
            yield f"{_reason(model.needs, missing)}: model `{model.name}` was skipped"
        elif skipped.any():
            lacked = _lacked({model.needs}, missing)
            yield f"{skipped.sum()} of {n_segments} segments have {lacked}: model `{model.name}` was skipped there"
    if not is_scored.all():
        lacked = _lacked({model.needs for model in models}, missing)
        yield f"{(~is_scored).sum()} of {n_segments} segments were not scored: they have {lacked}"


def _reason(needs: Needs, missing: Missing) -> str:
    """Why no segment has what a model needs."""
    if needs == "both":
        return " and ".join(missing.throughout.values()) or "no audio track or no video track"
    return missing.throughout.get(needs, f"no {needs} track")


def _lacked(needs: set[Needs], missing: Missing) -> str:
    """What a segment has in place of modalities if no model with one of `needs` scored it."""
    single = sorted(needs - {"both"})
    modalities: list[Modality] = [need for need in single if need != "both"] or ["audio", "video"]
    found = [missing.in_segments.get(modality, f"no {modality}") for modality in modalities]
    if len(single) == 2:
        return " and ".join(found) if missing.in_segments else "neither audio nor video"
    return " or ".join(found)
