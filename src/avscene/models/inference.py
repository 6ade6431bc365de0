"""Run trained networks efficiently: fold batch norms, change the precision, and split inputs into batches."""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from avscene.models.device import Runtime
from avscene.models.precision.work import counting_work

MAX_ROWS = 32  # rows at a time: enough to keep a CPU busy, few enough to bound the memory of activations


class Inference:
    """A network in evaluation mode; it maps rows of tensors to rows of outputs (float32, on the CPU).

    The network is changed in place. `example` holds inputs of one row. Products are computed in the precision of the
    runtime; if it has none, in float32 until `use` changes it, once.
    """

    def __init__(self, network: nn.Module, example: Sequence[Tensor], runtime: Runtime) -> None:
        network.eval().requires_grad_(requires_grad=False)
        with counting_work(network) as self.work:
            self._no_outputs = fold_batch_norms(network, example)[:0].float().cpu()
        self.can_change = runtime.dtype is None
        self._device = runtime.device
        self._dtype = runtime.dtype or torch.float32
        self._network = network.to(self._device, self._dtype).to(memory_format=torch.channels_last)

    @property
    def precision(self) -> str:
        """`float32` or `bfloat16`."""
        return str(self._dtype).removeprefix("torch.")

    def use(self, dtype: torch.dtype, *, keep: bool = False) -> Callable[[], None]:
        """Compute in `dtype` from now on; return a function that undoes this exactly if the weights are to `keep`.

        Raises:
            RuntimeError: the network was given a precision before, and its float32 weights are gone.
        """
        if not self.can_change:
            raise RuntimeError("the precision of this network is settled")
        before, weights = (self._dtype, self._network), copy.deepcopy(self._network) if keep else self._network
        self._dtype, self._network, self.can_change = dtype, weights.to(dtype), False

        def undo() -> None:
            self._dtype, self._network = before

        return undo

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return outputs (n, n_outputs) for inputs (n, ...)."""
        if not len(inputs[0]):
            return self._no_outputs
        parts = zip(*(torch.split(values, MAX_ROWS) for values in inputs), strict=True)
        return torch.cat([self._network(*map(self._placed, part)).float().cpu() for part in parts])

    def _placed(self, values: Tensor) -> Tensor:
        layout = torch.channels_last if values.dim() == 4 else torch.preserve_format  # images
        return values.to(self._device, self._dtype, memory_format=layout)


def is_depthwise(network: nn.Module) -> bool:
    """Return whether the network has convolutions that treat each channel separately."""
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return any(1 < convolution.groups == convolution.in_channels for convolution in convolutions)


@torch.no_grad()
def fold_batch_norms(network: nn.Module, example: Sequence[Tensor]) -> Tensor:
    """Fold each batch norm that follows a convolution into its weights: the same function with fewer operations.

    A batch norm in evaluation mode scales and shifts each channel, so it can be part of the weights (Jacob et al. 2018,
    section 3.2). Which batch norm follows which convolution is recorded in one run over `example`.

    Args:
        network: changed in place.
        example: inputs of one row, on the network's device.

    Returns:
        The outputs of the network for `example`, before folding.
    """
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # by the output's identity; the output is kept, so that it is unique
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def record_convolution(module: nn.Conv2d, _: Any, output: Tensor) -> None:
        made[id(output)] = module, output

    def record_norm(module: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], module))

    hooks: list[Any] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(record_convolution))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(record_norm))
    outputs: Tensor = network(*example)
    for hook in hooks:
        hook.remove()
    uses = Counter(module for pair in pairs for module in pair)
    folded = {norm: convolution for convolution, norm in pairs if uses[convolution] == uses[norm] == 1}
    for norm, convolution in folded.items():
        _absorb(convolution, norm)
    replace_modules(
        network, {norm: nn.Sequential(*norm.children()) for norm in folded}
    )  # timm's contain their activation
    return outputs


def _absorb(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    statistics: Any = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    weight, bias = fuse_conv_bn_weights(convolution.weight, convolution.bias, *statistics)
    convolution.weight, convolution.bias = weight.requires_grad_(False), bias.requires_grad_(False)


def replace_modules(network: nn.Module, replacements: dict[nn.Module, nn.Module]) -> None:
    """Put modules in the place of others, wherever the network has them."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child in replacements:
                setattr(parent, name, replacements[child])
