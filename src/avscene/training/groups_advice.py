"""Warn where the groups of a data set make metrics optimistic or uncertain, and say what would help most."""

from collections.abc import Mapping

from avscene.datasets.dataset import DataSet
from avscene.records import Example

FEW_GROUPS = 5  # of a scene: with fewer, a fold or the validation part has one group of it, or none
MAX_SCENES = 5  # named in a message


def group_warnings(data: DataSet) -> tuple[str, ...]:
    """Return what the groups of a labelled data set mean for metrics, in a line each; nothing if they suffice."""
    warnings = []
    alone = [example for example in data.examples if _is_without_group(example)]
    if alone:
        count = str(len(alone)) if len(alone) == len(data.examples) else f"{len(alone)} of {len(data.examples)}"
        warnings.append(
            f"{count} files without groups: recordings of one place may be on both sides; figures are optimistic; "
            "what would help most: a column 'group' in meta.csv that names place or session, or a folder for each "
            "place in the folder of a scene"
        )
    counts = _groups_of_scenes(data)
    fewest = min(counts.values())
    if fewest < FEW_GROUPS and len(alone) < len(data.examples):
        few = [scene for scene, count in counts.items() if count == fewest]
        named = ", ".join(few[:MAX_SCENES]) + (f" and {len(few) - MAX_SCENES} more" if len(few) > MAX_SCENES else "")
        warnings.append(
            f"few groups: {fewest} of {named}; figures depend on single places; what would help most: recordings from "
            f"more places, of these scenes first, until each has at least {FEW_GROUPS}"
        )
    return tuple(warnings)


def _is_without_group(example: Example) -> bool:
    return example.group == example.name


def _groups_of_scenes(data: DataSet) -> Mapping[str, int]:
    groups: dict[str, set[str]] = {}
    for example in data.examples:
        groups.setdefault(example.label, set()).add(example.group)
    return {scene: len(found) for scene, found in sorted(groups.items())}
