"""Measure how fast this machine computes convolutions and matrix products in float32 and in bfloat16."""

import os
import platform
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, PositiveFloat
from torch import nn

from avscene.models.precision.cache import cache_path, read_measured, write_measured

FLOAT32, BFLOAT16 = "float32", "bfloat16"
MIN_SECONDS, MAX_SECONDS = 0.03, 0.08  # for each kind of work; a round that has begun is completed
SPREAD = 1.1  # of the two fastest rounds, if no other load disturbs them
# Environment variables that limit the instructions that torch uses.
_INSTRUCTION_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")

_IMAGES, _SIDE = 2, 28  # of the convolutions: a middle layer of networks on images of 224 pixels
_CHANNELS, _DEPTHWISE_CHANNELS = 128, 240
_ROWS, _WIDTH = 100, 768  # of the product: two images in a layer of ViT-B/32


class Rates(BaseModel):
    """Billions of multiply-adds per second in each precision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    float32: PositiveFloat
    bfloat16: PositiveFloat

    @property
    def ratio(self) -> float:
        """How many times as fast bfloat16 is."""
        return self.bfloat16 / self.float32


class Measurement(BaseModel):
    """Rates of a machine for the three kinds of work that networks consist of.

    `processor` and `torch` are what the rates depend on: model and instruction sets of the processor, and the version
    of torch. They are those of one core: of several, the rates are higher, but hardly their ratio.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    processor: str
    torch: str
    convolution: Rates
    depthwise: Rates
    product: Rates


@lru_cache(maxsize=1)
def processor() -> str:
    """Return the model of the processor, its instruction sets, and what limits them."""
    model, flags = platform.processor() or platform.machine(), ""
    try:
        described = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        for line in described.partition("\n\n")[0].splitlines():  # of the first core
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                model = value.strip()
            elif name.strip() in ("flags", "Features"):
                flags = " ".join(sorted(value.split()))
    except OSError:  # not Linux
        pass
    limits = [f"{name}={os.environ[name]}" for name in _INSTRUCTION_LIMITS if name in os.environ]
    return "; ".join(filter(None, [model, *limits, flags]))


@lru_cache(maxsize=1)
def this_machine() -> Measurement:
    """Return the rates of this machine: measured before, or measured now and kept in the user's cache directory."""
    path = measurement_path()
    found = read_measured(path, Measurement)
    if found is None or (found.processor, found.torch) != (processor(), torch.__version__):
        found = measure()
        write_measured(path, found)
    return found


def measurement_path() -> Path:
    """Return the file in which the rates of this machine are kept."""
    return cache_path("rates", (processor(), torch.__version__))


@torch.inference_mode()
def measure() -> Measurement:
    """Time a convolution, a depthwise convolution and a matrix product in both precisions, for less than 0.3 s.

    One thread computes, and its processor time counts: so that other load on the machine does not.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measure()
    finally:
        torch.set_num_threads(threads)


def _measure() -> Measurement:
    maps = torch.rand(_IMAGES, _CHANNELS, _SIDE, _SIDE)
    wide = torch.rand(_IMAGES, _DEPTHWISE_CHANNELS, _SIDE, _SIDE)
    rows = torch.rand(_ROWS, _WIDTH)
    pixels = _IMAGES * _SIDE**2
    return Measurement(
        processor=processor(),
        torch=torch.__version__,
        convolution=_rates(lambda: nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1), maps, pixels * 9 * _CHANNELS**2),
        depthwise=_rates(
            lambda: nn.Conv2d(_DEPTHWISE_CHANNELS, _DEPTHWISE_CHANNELS, 3, padding=1, groups=_DEPTHWISE_CHANNELS),
            wide,
            pixels * 9 * _DEPTHWISE_CHANNELS,
        ),
        product=_rates(lambda: nn.Linear(_WIDTH, 4 * _WIDTH), rows, _ROWS * 4 * _WIDTH**2),
    )


def _rates(build: Callable[[], nn.Module], values: torch.Tensor, n_multiply_adds: int) -> Rates:
    """Time a layer in both precisions in turn, so that other load on the machine affects both."""
    layout = torch.channels_last if values.dim() == 4 else torch.preserve_format
    runs = {}
    for name, dtype in ((FLOAT32, torch.float32), (BFLOAT16, torch.bfloat16)):
        layer = build().to(dtype).to(memory_format=torch.channels_last)
        runs[name] = layer, values.to(dtype, memory_format=layout)
    times: dict[str, list[float]] = {name: [] for name in runs}
    start = time.thread_time()
    while not _is_enough(times, time.thread_time() - start):
        for name, (layer, inputs) in runs.items():
            before = time.thread_time()
            layer(inputs)
            times[name].append(time.thread_time() - before)
    return Rates(**{name: n_multiply_adds / min(found[1:]) / 1e9 for name, found in times.items()})


def _is_enough(times: dict[str, list[float]], seconds: float) -> bool:
    """Return whether the two fastest rounds in each precision agree, or `seconds` are too many.

    The first round warms up. The fastest counts: disturbances only make rounds slower.
    """
    fastest = [sorted(found[1:])[:2] for found in times.values()]
    if seconds > MAX_SECONDS:
        return all(fastest)
    return seconds > MIN_SECONDS and all(len(two) == 2 and two[1] < SPREAD * two[0] for two in fastest)
