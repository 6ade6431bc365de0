"""Build networks with random weights whose activations have the scale of those of trained networks.

With the initial weights of torch, residual branches end in zeros and activations grow or vanish with depth, so that the
error of a lower precision would not show.
"""

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

GRAIN = 8  # pixels per patch: frames are smooth, white noise is not
SCALES, BRANCH_SCALES = (0.5, 1.0), (0.1, 0.3)  # ranges of batch norm scales, in general and at the end of a branch
LOGITS = 4.0  # deviation of a classifier's weights times the root of its inputs: it is confident on some images


def backbone(name: str, images: Tensor, n_classes: int = 10) -> nn.Module:
    """Build timm's network `name` for images (n, 3, height, width), the same at every call."""
    torch.manual_seed(0)
    network = calibrate(timm.create_model(name, pretrained=False, num_classes=n_classes), images)
    classifier = network.get_classifier()
    nn.init.normal_(classifier.weight, std=LOGITS / classifier.in_features**0.5)
    return network


def blurred_noise(side: int, n_images: int = 8) -> Tensor:
    """Return random images (n_images, 3, side, side) of about unit variance."""
    coarse = torch.randn(n_images, 3, side // GRAIN, side // GRAIN)
    return 1.5 * functional.interpolate(coarse, (side, side), mode="bilinear")


@torch.no_grad()
def calibrate(network: nn.Module, images: Tensor) -> nn.Module:
    """Draw the scales of the batch norms, set their statistics to those of `images`, and return the network.

    A scale of zero is at the end of a residual branch, which adds little to its input in trained networks.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, *(BRANCH_SCALES if norm.weight.count_nonzero() == 0 else SCALES))
        norm.momentum = None  # a cumulative mean
    if norms:
        network.train()
        network(images)
    return network.eval().requires_grad_(requires_grad=False)
