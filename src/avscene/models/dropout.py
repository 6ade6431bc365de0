"""Dropout that does not wait for its random numbers."""

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16  # values of the 16 random bits that decide on an element
_LEAST = -(1 << 15)  # the least of them as a signed number


class FastDropout(nn.Dropout):
    """`nn.Dropout` of a probability `p` < 1, to the nearest 1/65536, in a quarter of the time on a processor.

    torch draws a double for each element there; here one 64-bit number decides on four. A GPU keeps torch's own.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # the name that nn.Dropout gave it
        """`input` with elements zeroed at random and the others scaled up, in training; else `input`."""
        if not self.training or input.device.type != "cpu":
            return super().forward(input)
        dropped = round(self.p * _LEVELS)
        words = torch.empty((input.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
        levels = words.view(torch.int16)[: input.numel()].view(input.shape).float()
        # 1 from the level `dropped` on and 0 below it; torch compares more slowly than it calculates.
        kept = levels.sub_(_LEAST + dropped - 1).clamp_(0, 1)
        return input * kept.mul_(_LEVELS / (_LEVELS - dropped)).to(input.dtype)
