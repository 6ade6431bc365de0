"""Save and restore training state so that an interrupted run resumes exactly.

The state is one safetensors file, replaced as a whole; what is not a tensor is stored among them as the bytes of JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn

from avscene.errors import CheckpointError
from avscene.files import replace_when_complete
from avscene.models.weights.strict import faults

STATE = "state.safetensors"
FORMAT = "avscene-training/1"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # AdamW's state of each parameter
_FACTS = "facts"  # the tensor that holds the JSON


@dataclass
class Position:
    """Progress of a training: `step` steps done, and of the current epoch the sum of losses over `epoch_rows` rows.

    `exponent` (inverse temperature) belongs to the best epoch, `ridge` to the linear probe that training began with.
    """

    step: int = 0
    epoch_loss: float = 0.0
    epoch_rows: int = 0
    best_log_loss: float | None = None
    best_epoch: int = 0
    exponent: float = 1.0
    ridge: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class TrainingState:
    """A network in training, its moving average, the optimiser, the weights of the best epoch, the position.

    `start` has the weights after the linear probe that training began with; empty without a probe.
    """

    network: nn.Module
    averaged: ModelEmaV3
    optimiser: torch.optim.Optimizer
    start: dict[str, Tensor]
    best: dict[str, Tensor]
    position: Position

    def to_bytes(self, digest: str) -> bytes:
        """Serialise the state, with the `digest` of its training."""
        facts = json.dumps({"format": FORMAT, "digest": digest, **vars(self.position)})
        tensors = {_FACTS: torch.frombuffer(bytearray(facts, "utf-8"), dtype=torch.uint8)}
        parts = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.module.state_dict(),
            "start": self.start,
            "best": self.best,
        }
        for part, named in parts.items():
            tensors |= {f"{part}.{name}": tensor.detach().contiguous() for name, tensor in named.items()}
        for name, parameter in self.network.named_parameters():
            for key, tensor in self.optimiser.state[parameter].items():
                tensors[f"optimiser.{key}.{name}"] = tensor.contiguous()
        content: bytes = save(tensors)
        return content

    def restore(self, content: bytes, digest: str, source: Path) -> None:
        """Restore the state in `content`, which was read from `source`.

        Raises:
            CheckpointError: it is damaged, or belongs to a training with another `digest`.
        """
        facts, tensors = _parsed(content, source)
        if facts.pop("digest") != digest:
            raise CheckpointError(
                f"{source}: belongs to another training (settings, segments or labels differ); "
                "remove it, or train into another directory"
            )
        parts = {part: _under(tensors, f"{part}.") for part in ("network", "averaged", "start", "best")}
        wrong = faults(self.network, parts["network"]) or faults(self.network, parts["averaged"])
        moments = {name: _moments(tensors, name) for name, _ in self.network.named_parameters()}
        complete = all(len(kept) in (0, len(MOMENTS)) for kept in moments.values())
        kept = [part for part in (parts["start"], parts["best"]) if part]
        if wrong or not complete or any(faults(self.network, part) for part in kept):
            raise _damaged(source)
        self.network.load_state_dict(parts["network"], strict=True)
        self.averaged.module.load_state_dict(parts["averaged"], strict=True)
        self.start, self.best = parts["start"], parts["best"]
        for name, parameter in self.network.named_parameters():
            self.optimiser.state[parameter] = {key: _like(value, parameter) for key, value in moments[name].items()}
        self.position = Position(**facts)


def write_state(path: Path, content: bytes) -> None:
    """Write a state to the file at `path`, replacing it as a whole.

    Raises:
        CheckpointError: it cannot be written; the previous file stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_complete(path, one_writer=True) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error.strerror or error}); the last saved state stays: "
            "free some space and run again"
        ) from error


def _parsed(content: bytes, source: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the JSON values and the tensors of a state file."""
    try:
        tensors: dict[str, Tensor] = load(content)
        facts = json.loads(tensors.pop(_FACTS).numpy().tobytes())
        if facts.pop("format") != FORMAT:
            raise _damaged(source)
        Position(**{key: value for key, value in facts.items() if key != "digest"})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _damaged(source) from error
    return facts, tensors


def _damaged(source: Path) -> CheckpointError:
    return CheckpointError(f"{source}: is damaged or of another version; remove it to train from the beginning")


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _moments(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the optimiser's state of parameter `name`."""
    found = {key: tensors.get(f"optimiser.{key}.{name}") for key in MOMENTS}
    return {key: tensor for key, tensor in found.items() if tensor is not None}


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """Copy `value` to the device and memory layout that the optimiser uses: its count of steps stays on the CPU."""
    return value if value.dim() == 0 else torch.empty_like(parameter).copy_(value)
