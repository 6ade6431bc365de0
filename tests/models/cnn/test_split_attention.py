"""Test that the fast split attention is timm's function."""

import pytest
import timm
import torch
from timm.layers import SplitAttn

from avscene.models.cnn.split_attention import SplitAttention, use_fast_split_attention


@pytest.mark.parametrize(
    ("architecture", "radix"), [("resnest14d", 2), ("resnest50d_1s4x24d", 1), ("resnest50d_4s2x40d", 4)]
)
def test_outputs_and_names_of_tensors_are_those_of_timm(architecture: str, radix: int) -> None:
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=5).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # otherwise the attention is nearly that of every input
            torch.nn.init.normal_(module.weight)
            torch.nn.init.normal_(module.bias)
    images = torch.rand(2, 3, 64, 64)
    blocks = [module for module in network.modules() if isinstance(module, SplitAttn)]
    inputs = [torch.randn(2, block.conv.in_channels, 9, 7) for block in blocks]
    with torch.no_grad():
        expected = network(images)
        of_blocks = [block(values) for block, values in zip(blocks, inputs, strict=True)]
        use_fast_split_attention(network)
        found = [module for module in network.modules() if isinstance(module, SplitAttention)]
        assert {block.radix for block in found} == {radix}
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
        for block, values, wanted in zip(found, inputs, of_blocks, strict=True):
            torch.testing.assert_close(block(values), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


def test_other_networks_stay_as_they_are() -> None:
    network = timm.create_model("resnet10t", num_classes=5)
    before = list(network.modules())
    use_fast_split_attention(network)
    assert all(one is other for one, other in zip(network.modules(), before, strict=True))
