"""Count the multiply-adds of a network by kind, and predict from a machine's rates which precision is faster."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from avscene.models.precision.measurement import Measurement

MIN_GAIN = 1.1  # a smaller gain is not worth a lower precision


@dataclass
class Work:
    """Multiply-adds of one row of inputs, in ordinary and depthwise convolutions and in matrix products."""

    convolution: float = 0.0
    depthwise: float = 0.0
    product: float = 0.0

    def gain(self, machine: Measurement) -> float:
        """Return how many times as fast the network should be in bfloat16; 1 if there is nothing to compute."""
        rates = {"convolution": machine.convolution, "depthwise": machine.depthwise, "product": machine.product}
        amounts = {name: getattr(self, name) for name in rates}
        if not any(amounts.values()):
            return 1.0
        in_float32 = sum(amounts[name] / rates[name].float32 for name in rates)
        return float(in_float32 / sum(amounts[name] / rates[name].bfloat16 for name in rates))

    def is_faster_in_bfloat16(self, machines: Sequence[Measurement]) -> bool:
        """Return whether each of the machines gains by bfloat16, so that one precision suits all."""
        return bool(machines) and all(self.gain(machine) >= MIN_GAIN for machine in machines)


@contextmanager
def counting_work(network: nn.Module) -> Iterator[Work]:
    """Count what the modules of `network` compute within the block.

    Attention counts its projections and products; what is computed outside of modules is small and not counted.
    """
    work = Work()

    def count_convolution(module: nn.Conv2d, _: Any, output: Tensor) -> None:
        amount = output.numel() * module.weight[0].numel()
        if 1 < module.groups == module.in_channels:
            work.depthwise += amount
        else:
            work.convolution += amount

    def count_linear(module: nn.Linear, _: Any, output: Tensor) -> None:
        work.product += output.numel() * module.in_features

    def count_attention(module: nn.MultiheadAttention, inputs: tuple[Tensor, ...], _: Any) -> None:
        width, rows = module.embed_dim, inputs[0].numel() // module.embed_dim
        length = inputs[0].shape[1 if module.batch_first else 0]
        work.product += 4 * rows * width**2 + 2 * rows * length * width

    counters = ((nn.Conv2d, count_convolution), (nn.MultiheadAttention, count_attention), (nn.Linear, count_linear))
    hooks: list[Any] = []
    for module in network.modules():
        for kind, counter in counters:
            if isinstance(module, kind):
                hooks.append(module.register_forward_hook(counter))
                break
    try:
        yield work
    finally:
        for hook in hooks:
            hook.remove()
