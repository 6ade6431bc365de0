"""Build timm's convolutional networks, by timm's names, with their ImageNet weights, for fine-tuning.

Weights come from the hub (`timm/NAME`) or, for the small networks, as Python packages. A network is built without
memory (on the device `meta`) and filled strictly, so it never has random weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avscene.errors import UsageError, WeightsError
from avscene.models.weights.packaged import IMAGENET_WEIGHTS
from avscene.progress import StageProgress, silent

if TYPE_CHECKING:
    from torch import Tensor, nn

    from avscene.features.frames import FrameSpec

# The paper's networks: RegNet-6.4F (Y, and X as option), ResNeSt-50d, EfficientNet-B1 NoisyStudent, HRNet-W18.
HUB_BACKBONES = (
    "regnety_064.ra3_in1k",
    "regnetx_064.pycls_in1k",
    "resnest50d.in1k",
    "tf_efficientnet_b1.ns_jft_in1k",
    "hrnet_w18.ms_aug_in1k",
)
WEIGHTS_FILE = "model.safetensors"


def backbones() -> tuple[str, ...]:
    """Return the names of all networks that can be fine-tuned."""
    return (*HUB_BACKBONES, *IMAGENET_WEIGHTS)


def create_backbone(architecture: str, n_classes: int, *, offline: bool, progress: StageProgress = silent) -> nn.Module:
    """Load the network with its ImageNet weights: float32, on the CPU, with a classifier of zeros for `n_classes`.

    With zeros, all classes have the same probability, and the first step does not depend on random weights (Kolesnikov
    et al. 2020, "Big Transfer", section 3.2).

    Raises:
        UsageError: there is no such network.
        WeightsError: the weights are absent, or are not exactly those of the network.
    """
    import torch

    from avscene.models.weights.strict import faults, fill

    network = blank_backbone(architecture, n_classes)
    published = _published(architecture, offline=offline, progress=progress)
    classifier = classifier_of(network)
    absent = [name for name in classifier if name not in published]
    kept = {name: tensor for name, tensor in published.items() if name not in classifier}
    zeros = {name: torch.zeros(shape) for name, shape in classifier.items()}
    if wrong := faults(network, {**kept, **zeros}) or ", ".join(f"no {name}" for name in absent):
        raise WeightsError(f"{architecture}: its published weights do not fit this timm: {wrong}; run: avscene doctor")
    fill(network, {**kept, **zeros})
    return network


def blank_backbone(architecture: str, n_classes: int) -> nn.Module:
    """Build the network without weights, on the device `meta`; `strict.fill` must set them.

    Raises:
        UsageError: there is no such network.
    """
    import timm
    import torch

    with torch.device("meta"):
        network: nn.Module = timm.create_model(_checked(architecture), pretrained=False, num_classes=n_classes)
    return network


def classifier_of(network: Any) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the tensors of a backbone's last layer, which is replaced for new scenes."""
    prefix = f"{network.pretrained_cfg['classifier']}."
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items() if name.startswith(prefix)}


def backbone_frame_spec(architecture: str, size: int | None = None) -> FrameSpec:
    """Return the preprocessing of images for the network, at `size` pixels (None: the size of its training).

    Raises:
        UsageError: there is no such network.
    """
    from avscene.features.frames import FrameSpec

    config = _config(architecture)
    size = input_size_of(architecture) if size is None else size
    resize = int(size / config.crop_pct)  # as timm rounds it
    return FrameSpec(size, resize, tuple(config.mean), tuple(config.std), config.interpolation)


def input_size_of(architecture: str) -> int:
    """Return the side in pixels of the images that the network was trained on.

    Raises:
        UsageError: there is no such network.
    """
    return int(_config(architecture).input_size[-1])


def backbone_presence(architecture: str) -> tuple[bool, str]:
    """Return whether the weights are on this machine, and where or what to do; uses neither the hub nor torch.

    Raises:
        UsageError: there is no such network.
    """
    if _checked(architecture) in IMAGENET_WEIGHTS:
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


def _published(architecture: str, *, offline: bool, progress: StageProgress) -> dict[str, Tensor]:
    """Published tensors by timm's names."""
    if architecture in IMAGENET_WEIGHTS:
        from avscene.models.efficientnet_lite import imagenet_state

        return imagenet_state(architecture)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from avscene.models.weights import hub

    repo_id = _repo(architecture)
    path = hub.fetch(repo_id, [WEIGHTS_FILE], offline=offline, progress=progress) / WEIGHTS_FILE
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{repo_id}: cannot read {path}: {' '.join(str(error).split())}") from error
    return tensors


def _config(architecture: str) -> Any:
    """Configuration of timm for the published weights."""
    import timm

    return timm.get_pretrained_cfg(_checked(architecture))


def _repo(architecture: str) -> str:
    return f"timm/{architecture}"


def _checked(architecture: str) -> str:
    if architecture not in backbones():
        raise UsageError(f"no network {architecture!r} can be fine-tuned; known: {', '.join(backbones())}")
    return architecture
