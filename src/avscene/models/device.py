"""Choose the device and the precision of networks."""

from dataclasses import dataclass

import torch

from avscene.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Device and precision of inference; `offline` forbids downloads of weights."""

    device: torch.device
    dtype: torch.dtype
    offline: bool = False

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto", *, offline: bool = False) -> "Runtime":
        """Return the runtime for `device` (auto, cpu, cuda) and `precision` (auto, float32, bfloat16).

        `auto` uses a GPU if torch finds one, and bfloat16 if it is faster than float32.

        Raises:
            UsageError: an unknown name, or `cuda` without a GPU.
        """
        if device not in DEVICES:
            raise UsageError(f"device {device!r} is not one of {', '.join(DEVICES)}")
        if precision not in PRECISIONS:
            raise UsageError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError("device cuda: torch sees no GPU here; use --device cpu, or run: avscene doctor")
        cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
        if precision == "auto":
            fast = torch.cuda.is_bf16_supported() if cuda else _bfloat16_is_faster()
            precision = "bfloat16" if fast else "float32"
        return cls(torch.device("cuda" if cuda else "cpu"), getattr(torch, precision), offline)


def _bfloat16_is_faster() -> bool:
    """Whether the processor has instructions for bfloat16 matrices (AMX).

    Instructions for vectors are not enough: with AVX512-BF16 alone a Xeon reaches 0.55 of its speed in float32.
    """
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))
