"""Fill networks with tensors strictly: names and shapes must be exactly those of the network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_MAX_NAMED = 3  # tensors named in a message


def faults(network: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Describe how `tensors` differ from those of `network`; an empty string if they fit."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = {
        "missing": [name for name in expected if name not in found and not _is_count(name)],
        "unknown": [name for name in found if name not in expected],
        "misshapen": [
            f"{name} {found[name]} for {shape}" for name, shape in expected.items() if found.get(name, shape) != shape
        ],
    }
    return "; ".join(
        f"{len(names)} {fault} ({', '.join(names[:_MAX_NAMED])})" for fault, names in problems.items() if names
    )


def fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Set the tensors of `network`, which may be on the device `meta`; check them with `faults` first."""
    filled = {}
    for name, blank in network.state_dict().items():
        # A batch norm's count of training batches is not used in inference, and some files lack it.
        tensor = tensors[name] if name in tensors else torch.zeros((), dtype=torch.int64)
        filled[name] = tensor.to(dtype=blank.dtype, copy=True)  # the caller keeps its own
    network.load_state_dict(filled, strict=True, assign=True)


def _is_count(name: str) -> bool:
    return name.endswith(".num_batches_tracked")
