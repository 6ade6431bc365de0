"""Whether the weights that a system starts from are here. Asks no network but where it says so, imports no torch."""

from avscene.errors import AvsceneError, WeightsError
from avscene.models.cnn.backbones import presence as backbone_presence
from avscene.models.registry import SystemRow, ZeroShotRow, find, leaves
from avscene.models.weights import packaged

# A default is the system of least published log loss whose weights can be had, and `embedded` where none can.
DEFAULT_ORDER = ("C02", "C01", "C03", "embedded")


def presence(name: str) -> tuple[bool, str]:
    """Whether the weights that system `name` starts from are here, and in a few words where, or what happens else."""
    absent = {why for present, why in (_of_leaf(find(leaf)) for leaf in leaves(name)) if not present}
    if absent:
        return False, "; ".join(sorted(absent))
    return True, "present"


def _of_leaf(row: SystemRow) -> tuple[bool, str]:
    if row.network is not None:
        return backbone_presence(row.network.backbone)
    if row.fusion_network is not None:
        from avscene.models.encoders import encoder_presence

        found = [encoder_presence(encoder) for encoder in row.fusion_network.encoders]
        return next((item for item in found if not item[0]), (True, "present"))
    if row.openl3 is not None:
        from avscene.models.openl3.weights import presence as openl3_presence

        return openl3_presence(row.openl3)
    assert row.zero_shot is not None
    return _of_zero_shot(row.zero_shot)


def _of_zero_shot(row: ZeroShotRow) -> tuple[bool, str]:
    if row.architecture == "conse":
        try:
            packaged.EFFICIENTNET_LITE0.path()
            packaged.SENTENCE_ENCODER.path()
        except AvsceneError as error:
            return False, str(error)
        return True, "installed"
    from avscene.models.weights import hub

    if hub.is_cached(str(row.weights), hub.OPEN_CLIP_FILES):
        return True, "cached"
    return False, f"fetched from the hub ({row.weights}) when first used"


def best_available(*, offline: bool) -> str:
    """The default system: the first of DEFAULT_ORDER that is present; else the first of the hub; else `embedded`.

    Raises:
        WeightsError: not even the embedded weights are installed.
    """
    from avscene.models.weights import hub

    *clip_systems, embedded = DEFAULT_ORDER
    for name in clip_systems:
        if presence(name)[0]:
            return name
    for name in clip_systems if not offline else ():
        row = find(name).zero_shot
        if row is not None and hub.can_fetch(str(row.weights), hub.OPEN_CLIP_FILES):
            return name
        break  # one look tells whether there is a hub at all
    present, why = presence(embedded)
    if not present:
        raise WeightsError(f"no system has its weights here: {why}")
    return embedded
