"""Load frozen encoders by name, for embeddings in a store and for late fusion. Imports torch only when one is built."""

from typing import TYPE_CHECKING

from avscene.errors import UsageError, WeightsError
from avscene.models.registry import ZeroShotSystem, find
from avscene.models.weights.packaged import IMAGENET_WEIGHTS
from avscene.records import Modality

if TYPE_CHECKING:
    from avscene.models import SegmentEncoder
    from avscene.models.device import Runtime

# The zero-shot systems that have the same image encoders and weights.
_CLIP = {"clip-rn101": "C01", "clip-rn50x4": "C02", "clip-vit-b-32": "C03"}
_EFFICIENTNET = {f"efficientnet-lite{size}": f"tf_efficientnet_lite{size}" for size in range(3)}
_OPENL3: dict[str, Modality] = {"openl3-audio": "audio", "openl3-image": "video"}
ENCODERS = (*_CLIP, *_EFFICIENTNET, *_OPENL3)


def build_encoder(name: str, runtime: "Runtime") -> "SegmentEncoder":
    """Load the encoder of that name with its weights.

    Raises:
        UsageError: there is no such encoder.
        WeightsError: its weights are absent or were changed.
    """
    if _checked(name) in _CLIP:
        from avscene.models.clip.image import ClipImageEncoder

        return ClipImageEncoder.load(_repo_id(name), runtime)
    if name in _EFFICIENTNET:
        from avscene.models.efficientnet_lite import FRAME_SPECS
        from avscene.models.linear_heads import VideoEncoder

        architecture = _EFFICIENTNET[name]
        return VideoEncoder(FRAME_SPECS[architecture], runtime, architecture)
    from avscene.models.openl3.encoders import load_openl3_encoder

    return load_openl3_encoder(name, runtime)


def encoder_presence(name: str) -> tuple[bool, str]:
    """Return whether the weights of encoder `name` are on this machine, and where or what to do; uses no network.

    Raises:
        UsageError: there is no such encoder.
    """
    if _checked(name) in _CLIP:
        from avscene.models.weights import hub

        if hub.is_cached(_repo_id(name), hub.OPEN_CLIP_FILES):
            return True, "cached"
        return False, f"fetched from the hub ({_repo_id(name)}) when first used"
    if name in _EFFICIENTNET:
        try:
            IMAGENET_WEIGHTS[_EFFICIENTNET[name]].path()
        except WeightsError as error:
            return False, str(error)
        return True, "installed"
    from avscene.models.openl3.weights import openl3_presence

    return openl3_presence(_OPENL3[name])


def _repo_id(name: str) -> str:
    row = find(_CLIP[name])
    assert isinstance(row, ZeroShotSystem)
    return str(row.weights)


def _checked(name: str) -> str:
    if name not in ENCODERS:
        raise UsageError(f"no encoder {name!r}; known: {', '.join(ENCODERS)}")
    return name
