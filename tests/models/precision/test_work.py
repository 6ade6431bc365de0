"""Test the count of multiply-adds against torch's counter, and the choice of a precision from measured rates."""

from collections.abc import Callable

import open_clip
import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from avscene.models.efficientnet_lite import load_efficientnet_lite
from avscene.models.precision.measurement import Measurement, Rates
from avscene.models.precision.work import Work, counting_work

NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, float]] = {  # largest difference of the counts, as a share
    "efficientnet-lite0": (lambda: load_efficientnet_lite("tf_efficientnet_lite0").net, 96, 0.0),
    "regnety": (lambda: timm.create_model("regnety_002"), 96, 0.0),
    "resnest": (lambda: timm.create_model("resnest14d"), 96, 0.0),
    "vit": (lambda: open_clip.create_model("ViT-S-32-alt", load_weights=False).visual, 224, 0.005),  # a projection
}
# Multiply-adds of ViT-B/32, RegNetY-6.4GF and EfficientNet-Lite0 per image, in millions.
VIT, REGNET, LITE = Work(116, 0, 4293), Work(6354, 0, 1), Work(349, 35, 1)


def machine(convolution: float, depthwise: float, product: float) -> Measurement:
    """A machine with these speeds of bfloat16 beside float32."""
    ratios = {"convolution": convolution, "depthwise": depthwise, "product": product}
    rates = {name: Rates(float32=100, bfloat16=100 * ratio) for name, ratio in ratios.items()}
    return Measurement(processor="some", torch="2.15", **rates)


AMX = machine(6.9, 1.1, 5.3)
EPYC = machine(3.4, 1.0, 4.1)
XEON = machine(0.6, 0.7, 0.7)  # AVX512-BF16 without AMX


@pytest.mark.parametrize("name", NETWORKS)
def test_the_count_is_that_of_torch(name: str) -> None:
    build, side, share = NETWORKS[name]
    network, images = build().eval(), torch.zeros(1, 3, side, side)
    torch.backends.mha.set_fastpath_enabled(False)  # torch's counter does not support it
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter, counting_work(network) as work:
            network(images)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    found = 2 * (work.convolution + work.depthwise + work.product)
    assert found == pytest.approx(counter.get_total_flops(), rel=share or 1e-9)
    assert not any(module._forward_hooks for module in network.modules())


def test_depthwise_convolutions_are_counted_apart() -> None:
    network = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 3, padding=1, groups=2))
    with torch.no_grad(), counting_work(network) as work:
        network(torch.zeros(1, 8, 10, 10))
    assert (work.depthwise, work.convolution, work.product) == (100 * 8 * 9, 100 * 8 * 9 * 4, 0)


def test_each_network_gets_the_precision_that_its_kind_of_work_is_faster_in() -> None:
    for network in (VIT, REGNET):
        assert network.is_faster_in_bfloat16([AMX])
        assert network.is_faster_in_bfloat16([EPYC])
        assert not network.is_faster_in_bfloat16([XEON])
    assert VIT.gain(EPYC) == pytest.approx(4.08, abs=0.02)
    assert REGNET.gain(EPYC) == pytest.approx(3.4, abs=0.01)
    only_products = machine(0.6, 0.7, 3)
    assert VIT.is_faster_in_bfloat16([only_products])
    assert not REGNET.is_faster_in_bfloat16([only_products])
    slow_depthwise = machine(2, 0.05, 2)
    assert REGNET.is_faster_in_bfloat16([slow_depthwise])
    assert not LITE.is_faster_in_bfloat16([slow_depthwise])


def test_several_machines_use_bfloat16_only_if_each_is_faster() -> None:
    assert VIT.is_faster_in_bfloat16([AMX, EPYC])
    assert not VIT.is_faster_in_bfloat16([AMX, XEON, EPYC])
    assert not VIT.is_faster_in_bfloat16([])
    assert Work().gain(AMX) == 1
