"""Test inference with networks: folded batch norms, batching and precision."""

from collections.abc import Sequence

import open_clip
import pytest
import timm
import torch
from torch import Tensor, nn

from avscene.models.cnn.backbones import HUB_BACKBONES
from avscene.models.cnn.block_network import create_block_network
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import FRAME_SPECS, load_efficientnet_lite
from avscene.models.inference import MAX_ROWS, Inference, fold_batch_norms
from avscene.models.openl3.network import OpenL3Network

CPU = Runtime.choose("cpu", "float32")


def with_random_norms(network: nn.Module) -> nn.Module:
    """`network` with random statistics, scales and offsets in its batch norms, in evaluation mode."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return network.eval().requires_grad_(False)


def n_norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def check_folding(network: nn.Module, inputs: Sequence[Tensor], least: int) -> None:
    with_random_norms(network).double()  # in single precision, random networks amplify rounding errors
    inputs = [values.double() for values in inputs]
    expected = network(*inputs)
    before = n_norms(network)
    returned = fold_batch_norms(network, [values[:1] for values in inputs])
    assert before - n_norms(network) >= least
    found = network(*inputs)
    scale = expected.abs().max()
    assert expected.std() > 1e-3 * scale  # a constant output would prove nothing
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=1e-8)
    torch.testing.assert_close(returned / scale, expected[:1] / scale, rtol=0, atol=1e-8)


@pytest.mark.parametrize("architecture", [*FRAME_SPECS, "resnest14d", "hrnet_w18_small", "regnety_002"])
def test_folding_batch_norms_keeps_the_outputs(architecture: str) -> None:
    check_folding(timm.create_model(architecture, num_classes=5), [torch.randn(2, 3, 64, 64)], least=15)


def test_all_batch_norms_of_the_embedded_networks_are_folded() -> None:
    by_blocks = create_block_network("tf_efficientnet_lite0", 3)
    nn.init.normal_(by_blocks.classifier.weight)  # zeros by default
    for network in (load_efficientnet_lite("tf_efficientnet_lite0"), by_blocks):
        check_folding(network, [torch.randn(2, 3, 64, 64)], least=n_norms(network))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", HUB_BACKBONES)
def test_the_backbones_of_the_paper_are_folded(architecture: str) -> None:
    check_folding(timm.create_model(architecture, num_classes=10), [torch.randn(2, 3, 128, 192)], least=50)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "side", "least"), [("RN101", 224, 90), ("RN50x4", 288, 85), ("ViT-B-32", 224, 0)]
)
def test_the_image_encoders_of_clip_are_folded(architecture: str, side: int, least: int) -> None:
    tower = open_clip.create_model(architecture, load_weights=False).visual
    check_folding(tower, [torch.randn(2, 3, side, side)], least)


@pytest.mark.slow
@pytest.mark.parametrize(("modality", "shape"), [("audio", (1, 256, 199)), ("image", (3, 224, 224))])
def test_the_networks_of_openl3_are_folded(modality: str, shape: tuple[int, ...]) -> None:
    check_folding(OpenL3Network(modality), [torch.rand(2, *shape)], least=5)


class Forked(nn.Module):
    """Convolutions whose batch norms must stay: one feeds two, one is used twice, one has an activation between."""

    def __init__(self) -> None:
        super().__init__()
        self.forked, self.shared, self.apart = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(5))

    def forward(self, images: Tensor) -> Tensor:
        forked = self.forked(images)
        values = self.norms[0](forked) + self.norms[1](forked).relu()
        values = self.norms[3](self.shared(self.norms[2](self.shared(values))))
        return self.norms[4](self.apart(values).relu()).mean((2, 3))


def test_batch_norms_that_cannot_be_folded_are_kept() -> None:
    check_folding(Forked(), [torch.randn(2, 3, 8, 8)], least=0)
    network = with_random_norms(Forked())
    fold_batch_norms(network, [torch.randn(1, 3, 8, 8)])
    assert n_norms(network) == 5


def test_inference_computes_the_network_for_any_number_of_rows() -> None:
    network = with_random_norms(timm.create_model("regnety_002", num_classes=4))
    images = torch.randn(MAX_ROWS + 3, 3, 32, 32)
    expected = network(images)
    inference = Inference(network, [images[:1]], CPU)
    found = inference(images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    none = inference(images[:0])
    assert (none.shape, none.dtype) == ((0, 4), torch.float32)


def test_the_precision_is_changed_once_and_can_be_undone() -> None:
    network = with_random_norms(timm.create_model("regnety_002", num_classes=4))
    images = torch.randn(3, 3, 32, 32)
    inference = Inference(network, [images[:1]], Runtime.choose("cpu"))
    exact = inference(images)
    undo = inference.use(torch.bfloat16, keep=True)
    rough = inference(images)
    assert (inference.precision, inference.can_change) == ("bfloat16", False)
    assert not torch.equal(rough, exact)
    undo()
    assert inference.precision == "float32"
    assert torch.equal(inference(images), exact)
    with pytest.raises(RuntimeError, match="is settled"):
        inference.use(torch.bfloat16)
    with pytest.raises(RuntimeError, match="is settled"):
        Inference(network, [images[:1]], CPU).use(torch.bfloat16)


def test_bfloat16_outputs_are_close_to_float32() -> None:
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 4))

    images = torch.randn(5, 3, 8, 8)
    exact = Inference(network(), [images[:1]], CPU)(images)
    rough = Inference(network(), [images[:1]], Runtime.choose("cpu", "bfloat16"))(images)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0.02)
    assert not torch.equal(rough, exact)
