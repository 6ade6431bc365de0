"""Tensors into a network: each by its name and shape, none missing and none left over."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_NAMED = 3  # tensors named in a message


def faults(network: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """What keeps `tensors` from being exactly those of `network`, in a few words; empty if nothing does."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    told = {
        "missing": [name for name in expected if name not in found and not _is_count(name)],
        "unknown": [name for name in found if name not in expected],
        "misshapen": [
            f"{name} {found[name]} for {shape}" for name, shape in expected.items() if found.get(name, shape) != shape
        ],
    }
    return "; ".join(f"{len(names)} {fault} ({', '.join(names[:_NAMED])})" for fault, names in told.items() if names)


def fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Make `tensors` those of `network`, which may have been built on the device `meta`; see `faults` first."""
    filled = {}
    for name, blank in network.state_dict().items():
        # Nothing reads a batch norm's count of training batches, and some files lack it.
        tensor = tensors[name] if name in tensors else torch.zeros((), dtype=torch.int64)
        filled[name] = tensor.to(dtype=blank.dtype, copy=True)  # the caller keeps its own
    network.load_state_dict(filled, strict=True, assign=True)


def _is_count(name: str) -> bool:
    return name.endswith(".num_batches_tracked")
