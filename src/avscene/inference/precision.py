"""Settle the precision of each network of a system: bfloat16 where it is faster and the probabilities hardly move."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from avscene.errors import UsageError
from avscene.features.batch import SegmentBatch
from avscene.models import SceneModel
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.models.precision.cache import cache_path, read_measured, write_measured
from avscene.models.precision.measurement import BFLOAT16, FLOAT32, Measurement, processor, this_machine
from avscene.models.precision.reference import reference_segments
from avscene.records import FloatArray

MAX_MOVE = 0.01  # of a probability, between float32 and bfloat16, on the reference segments

logger = logging.getLogger(__name__)


class _Moves(BaseModel):
    """By how much each network that was tried in bfloat16 moved the probabilities, beside those kept before it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    moves: dict[str, float]


def settle_precision(
    models: Sequence[SceneModel],
    hop: float,
    runtime: Runtime,
    machines: Sequence[Measurement] = (),
    weights_key: str | None = None,
) -> dict[str, str]:
    """Put each network that may be in either precision into one, and return the precision of each by its name.

    A network gets bfloat16 if it is faster so on each of the machines and the probabilities on reference segments move
    by at most MAX_MOVE, together with the networks before it. The moves are measured once for these weights, this
    processor and version of torch, and kept in the user's cache directory.

    Args:
        models: the models of a system.
        hop: length of a segment in seconds.
        runtime: device, and precision if one is requested.
        machines: measurements of the machines that will use this precision; empty stands for this machine.
        weights_key: identifies all that decides the probabilities in float32; without it, the moves are not kept.
    """
    found = networks_of(models)
    candidates = {name: network for name, network in found.items() if _is_faster(network, runtime, machines)}
    if candidates and weights_key is None:
        _try_bfloat16(models, hop, candidates)
    elif candidates:
        key = (str(weights_key), str(hop), _device_name(runtime), torch.__version__, *candidates)
        path = cache_path("moves", key)
        known = read_measured(path, _Moves)
        if known is not None and list(known.moves) == list(candidates):
            for name, moved in known.moves.items():
                if moved <= MAX_MOVE:
                    candidates[name].use(torch.bfloat16)
        else:
            write_measured(path, _Moves(moves=_try_bfloat16(models, hop, candidates)))
    return {name: network.precision for name, network in found.items()}


def use_precision(models: Sequence[SceneModel], wanted: Mapping[str, str]) -> dict[str, str]:
    """Put each network into the precision that it has in `wanted`, as `settle_precision` returned it elsewhere.

    Raises:
        UsageError: the networks or their precisions are others.
    """
    found = networks_of(models)
    if set(found) != set(wanted) or not set(wanted.values()) <= {FLOAT32, BFLOAT16}:
        raise UsageError(f"precision of {', '.join(wanted)}: the networks of the system are {', '.join(found)}")
    for name, network in found.items():
        if wanted[name] != network.precision:
            network.use(getattr(torch, wanted[name]))
    return dict(wanted)


def described(precisions: Mapping[str, str]) -> str:
    """Return the precision that all networks have, or the precision of each: `A01 bfloat16, A03 float32`."""
    different = set(precisions.values())
    if len(different) == 1:
        return different.pop()
    return ", ".join(f"{name} {precision}" for name, precision in precisions.items())


def networks_of(models: Sequence[SceneModel]) -> dict[str, Inference]:
    """Return the networks of models by their names: that of the model or, if it has several, also of the encoder."""
    return dict(_named_networks(models))


def _named_networks(models: Sequence[SceneModel]) -> Iterator[tuple[str, Inference]]:
    for model in models:
        networks: Mapping[str, Inference] = getattr(model, "networks", {})
        for name, network in networks.items():
            yield f"{model.name}/{name}" if len(networks) > 1 else model.name, network


def _is_faster(network: Inference, runtime: Runtime, machines: Sequence[Measurement]) -> bool:
    if not network.can_change:
        return False
    if runtime.device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return network.work.is_faster_in_bfloat16(machines or (this_machine(),))


def _try_bfloat16(models: Sequence[SceneModel], hop: float, candidates: Mapping[str, Inference]) -> dict[str, float]:
    """Put one network after the other into bfloat16, unless the probabilities move too much; return the moves."""
    batches = {rate: SegmentBatch(reference_segments(hop, rate)) for rate in {model.sample_rate for model in models}}

    def probabilities(model: SceneModel) -> FloatArray:
        return model.score(batches[model.sample_rate]).probabilities

    users = {
        name: [model for model in models if network in getattr(model, "networks", {}).values()]
        for name, network in candidates.items()
    }
    exact = {model.name: probabilities(model) for model in models if any(model in using for using in users.values())}
    moves = {}
    for name, network in candidates.items():
        undo = network.use(torch.bfloat16, keep=True)
        moves[name] = max(_move(probabilities(model), exact[model.name]) for model in users[name])
        if moves[name] > MAX_MOVE:
            undo()
            logger.debug("%s stays in float32: bfloat16 moves a probability by %.3f", name, moves[name])
    return moves


def _move(rough: FloatArray, exact: FloatArray) -> float:
    """Return the largest change of a probability; infinite if one is not a number."""
    change = np.abs(rough - exact).max()
    return float(change) if np.isfinite(change) else 1.0


def _device_name(runtime: Runtime) -> str:
    return torch.cuda.get_device_name(runtime.device) if runtime.device.type == "cuda" else processor()
