"""Choose the device and the precision of networks."""

from dataclasses import dataclass, field, replace

import torch

from avscene.errors import UsageError
from avscene.progress import StageProgress, silent

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Device and precision of inference; `offline` forbids downloads of weights, which `progress` is called for.

    With `dtype` None, each network gets its own precision (`models.precision`): float32 unless bfloat16 is faster and
    hardly changes the probabilities.
    """

    device: torch.device
    dtype: torch.dtype | None
    offline: bool = False
    progress: StageProgress = field(default=silent, repr=False, compare=False)

    @classmethod
    def choose(
        cls, device: str = "auto", precision: str = "auto", *, offline: bool = False, progress: StageProgress = silent
    ) -> "Runtime":
        """Return the runtime for `device` (auto, cpu, cuda) and `precision` (auto, float32, bfloat16).

        `auto` uses a GPU if torch finds one. On a GPU, float32 is exact: convolutions do not use TF32, which has
        fewer digits.

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
        if cuda:
            torch.backends.cudnn.allow_tf32 = False
        dtype = None if precision == "auto" else getattr(torch, precision)
        return cls(torch.device("cuda" if cuda else "cpu"), dtype, offline, progress)

    def in_float32(self) -> "Runtime":
        """Return this runtime, with float32 in place of a precision for each network."""
        return replace(self, dtype=self.dtype or torch.float32)
