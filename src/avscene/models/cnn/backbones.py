"""The convolutional networks that are fine-tuned: timm's, by timm's names, with their ImageNet weights.

Weights come from the hub (`timm/NAME`) or, for the small embedded ones, as Python packages. A network is built without
memory (on the device `meta`) and filled strictly: there is no moment at which it holds random weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avscene.errors import UsageError, WeightsError
from avscene.models.weights.packaged import IMAGENET_WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from avscene.features.frames import FrameSpec

# The seed's networks: RegNet-6.4F (Y, and X as option), ResNeSt-50d, EfficientNet-B1 NoisyStudent, HRNet-W18.
HUB_BACKBONES = (
    "regnety_064.ra3_in1k",
    "regnetx_064.pycls_in1k",
    "resnest50d.in1k",
    "tf_efficientnet_b1.ns_jft_in1k",
    "hrnet_w18.ms_aug_in1k",
)
WEIGHTS_FILE = "model.safetensors"


def backbones() -> tuple[str, ...]:
    """The names of all networks that can be fine-tuned."""
    return (*HUB_BACKBONES, *IMAGENET_WEIGHTS)


def create_backbone(architecture: str, n_classes: int, *, offline: bool) -> nn.Module:
    """The network with its ImageNet weights, float32, on the CPU, and a classifier of `n_classes` that is all zeros.

    A classifier of zeros gives every class the same probability and its first step a direction that no random draw
    decides (Kolesnikov et al. 2020, "Big Transfer", section 3.2).

    Raises:
        UsageError: no such network.
        WeightsError: the weights are absent, or are not exactly those of the network.
    """
    import torch

    from avscene.models.weights.strict import faults, fill

    network = blank_backbone(architecture, n_classes)
    published = _published(architecture, offline=offline)
    classifier = classifier_of(network)
    absent = [name for name in classifier if name not in published]
    kept = {name: tensor for name, tensor in published.items() if name not in classifier}
    zeros = {name: torch.zeros(shape) for name, shape in classifier.items()}
    if wrong := faults(network, {**kept, **zeros}) or ", ".join(f"no {name}" for name in absent):
        raise WeightsError(f"{architecture}: its published weights do not fit this timm: {wrong}; run: avscene doctor")
    fill(network, {**kept, **zeros})
    return network


def blank_backbone(architecture: str, n_classes: int) -> nn.Module:
    """The network without any weights: it computes nothing until `strict.fill` has given it all of them.

    Raises:
        UsageError: no such network.
    """
    import timm
    import torch

    with torch.device("meta"):
        network: nn.Module = timm.create_model(_known(architecture), pretrained=False, num_classes=n_classes)
    return network


def classifier_of(network: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a backbone's last layer, the only one that new scenes replace."""
    prefix = f"{network.pretrained_cfg['classifier']}."
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items() if name.startswith(prefix)}


def frame_spec(architecture: str, size: int | None = None) -> FrameSpec:
    """How the network wants its images, at `size` pixels (its own size where None).

    Raises:
        UsageError: no such network.
    """
    from avscene.features.frames import FrameSpec

    config = _config(architecture)
    size = input_size_of(architecture) if size is None else size
    resize = round(size / config.crop_pct)
    return FrameSpec(size, resize, tuple(config.mean), tuple(config.std), config.interpolation)


def input_size_of(architecture: str) -> int:
    """Side in pixels of the images that the network was trained on.

    Raises:
        UsageError: no such network.
    """
    return int(_config(architecture).input_size[-1])


def backbone_presence(architecture: str) -> tuple[bool, str]:
    """Whether the weights are on this machine, and if not, what to do about it. No network, no torch.

    Raises:
        UsageError: no such network.
    """
    if _known(architecture) in IMAGENET_WEIGHTS:
        try:
            IMAGENET_WEIGHTS[architecture].path()
        except WeightsError as error:
            return False, str(error)
        return True, "installed"
    from avscene.models.weights import hub

    repo_id = _repo(architecture)
    if hub.is_cached(repo_id, [WEIGHTS_FILE]):
        return True, "cached"
    return False, f"fetched from the hub ({repo_id}) when first used"


def _published(architecture: str, *, offline: bool) -> dict[str, Tensor]:
    """The published tensors by timm's names."""
    if architecture in IMAGENET_WEIGHTS:
        from avscene.models.efficientnet_lite import imagenet_state

        return imagenet_state(architecture)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from avscene.models.weights import hub

    repo_id = _repo(architecture)
    path = hub.fetch(repo_id, [WEIGHTS_FILE], offline=offline) / WEIGHTS_FILE
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{repo_id}: cannot read {path}: {' '.join(str(error).split())}") from error
    return tensors


def _config(architecture: str) -> Any:
    """What timm says of how the weights were trained."""
    import timm

    return timm.get_pretrained_cfg(_known(architecture))


def _repo(architecture: str) -> str:
    return f"timm/{architecture}"


def _known(architecture: str) -> str:
    if architecture not in backbones():
        raise UsageError(f"no network {architecture!r} can be fine-tuned; known: {', '.join(backbones())}")
    return architecture
