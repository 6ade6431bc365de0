"""Report whether the weights of a system are on this machine, and choose the default system by it.

Imports no torch, and asks no network except where a function says so.
"""

from typing import Literal, assert_never

from avscene.errors import AvsceneError, WeightsError
from avscene.models.cnn.backbones import backbone_presence
from avscene.models.encoders import encoder_presence
from avscene.models.openl3.weights import openl3_presence
from avscene.models.registry import (
    EnsembleSystem,
    FusionNetworkSystem,
    HeadsSystem,
    NetworkSystem,
    OpenL3System,
    SystemRow,
    ZeroShotSystem,
    find,
)
from avscene.models.weights import hub, packaged

Presence = tuple[bool, str]  # whether weights are on this machine, and where, or what happens instead

State = Literal["here", "to download", "missing"]  # of the weights that a system starts from
_FETCHED = "fetched from "  # how the reason begins if weights are downloaded when they are first used

# By increasing log loss in the paper; `conse` needs no download.
DEFAULT_ORDER = ("C02", "C01", "C03", "conse")


def presence(name: str) -> Presence:
    """Return whether the weights that system `name` starts from are on this machine, and where or what to do."""
    absent = {why for present, why in _presences(find(name)) if not present}
    if absent:
        return False, "; ".join(sorted(absent))
    return True, "present"


def weights_state(name: str) -> State:
    """Return whether the weights that system `name` starts from are here, can be downloaded, or lack a package."""
    absent = [why for present, why in _presences(find(name)) if not present]
    if not absent:
        return "here"
    return "to download" if all(why.startswith(_FETCHED) for why in absent) else "missing"


def _presences(row: SystemRow) -> list[Presence]:
    match row:
        case ZeroShotSystem():
            found = [_zero_shot_presence(row)]
        case NetworkSystem():
            found = [backbone_presence(row.backbone)]
        case FusionNetworkSystem():
            every = [encoder_presence(encoder) for encoder in row.encoders]
            found = [next((item for item in every if not item[0]), (True, "present"))]
        case OpenL3System():
            found = [openl3_presence(row.needs)]
        case HeadsSystem():
            found = [backbone_presence(head.encoder) for head in row.heads.values()]
        case EnsembleSystem():
            found = [item for member in row.members for item in _presences(find(member))]
        case _:
            assert_never(row)
    return found


def _zero_shot_presence(row: ZeroShotSystem) -> Presence:
    installed = {weights.package: weights for weights in (packaged.EFFICIENTNET_LITE0, packaged.SENTENCE_ENCODER)}
    try:
        for package in row.packages:
            installed[package].path()
    except AvsceneError as error:
        return False, str(error)
    if row.weights is None:
        return True, "installed"
    if hub.is_cached(row.weights, hub.OPEN_CLIP_FILES):
        return True, "cached"
    return False, f"fetched from the hub ({row.weights}) when first used"


def best_available(*, offline: bool) -> str:
    """Return the default system: the first of DEFAULT_ORDER that is present, else the first on the hub, else `conse`.

    Unless `offline`, the hub is asked for one repository.

    Raises:
        WeightsError: not even the weights of `conse` are installed.
    """
    *clip_systems, conse = DEFAULT_ORDER
    for name in clip_systems:
        if presence(name)[0]:
            return name
    first = find(clip_systems[0])
    assert isinstance(first, ZeroShotSystem)
    # One request shows whether the hub can be reached.
    if not offline and hub.can_fetch(str(first.weights), hub.OPEN_CLIP_FILES):
        return first.name
    present, why = presence(conse)
    if not present:
        raise WeightsError(f"no system has its weights here: {why}")
    return conse
