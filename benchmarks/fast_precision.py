"""Choose the precision of random networks by speed alone: what bfloat16 changes says nothing, as they amplify it."""

from collections.abc import Callable, Mapping

import torch

from avscene.inference import System
from avscene.inference.precision import networks_of
from avscene.models.inference import Inference
from avscene.models.precision.measurement import this_machine


def faster_precision(network: Inference) -> torch.dtype:
    """Return the precision in which the network is faster, as predicted from the measurement of this machine."""
    return torch.bfloat16 if network.work.is_faster_in_bfloat16([this_machine()]) else torch.float32


def load_fast(load: Callable[[str | Mapping[str, str]], System]) -> System:
    """Load a system by `load`, which takes its precision, with each network in the faster precision."""
    networks = networks_of(load("float32").models)
    return load({name: str(faster_precision(network)).removeprefix("torch.") for name, network in networks.items()})
