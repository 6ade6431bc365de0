"""Networks of random weights whose values between layers lie where those of trained ones do.

As torch initialises them, branches of residual networks end in zeros and values grow or vanish with depth: what
precision costs would not show.
"""

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

GRAIN = 8  # pixels of a patch: frames are smooth, white noise is not
BETWEEN, BESIDE = (0.5, 1.0), (0.1, 0.3)  # of what scales are drawn, within a network and at the end of a branch
LOGITS = 4.0  # deviation of a classifier's weights times the root of its inputs: it is sure of some images


def backbone(name: str, images: Tensor, n_classes: int = 10) -> nn.Module:
    """timm's network for such images (n, 3, height, width), the same at every call."""
    torch.manual_seed(0)
    network = settled(timm.create_model(name, pretrained=False, num_classes=n_classes), images)
    classifier = network.get_classifier()
    nn.init.normal_(classifier.weight, std=LOGITS / classifier.in_features**0.5)
    return network


def blurred_noise(side: int, n_images: int = 8) -> Tensor:
    """Images (n_images, 3, side, side) of about unit variance."""
    coarse = torch.randn(n_images, 3, side // GRAIN, side // GRAIN)
    return 1.5 * functional.interpolate(coarse, (side, side), mode="bilinear")


@torch.no_grad()
def settled(network: nn.Module, images: Tensor) -> nn.Module:
    """The network with scales of its batch norms drawn and their statistics those of `images`, for inference.

    A scale that was zero ends a residual branch, which in trained networks adds little to what passes it by.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, *(BESIDE if norm.weight.count_nonzero() == 0 else BETWEEN))
        norm.momentum = None  # a plain mean of what it sees
    if norms:
        network.train()
        network(images)
    return network.eval().requires_grad_(requires_grad=False)
