"""Build E02 with random weights, its nine networks and a checkpoint like that of a training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import avscene
from avscene.features.batch import SegmentBatch
from avscene.fusion.tree import Fusion, fit_fusion
from avscene.inference import System
from avscene.labels import TAU_SCENES
from avscene.models.checkpoint import Config, Part, save_checkpoint
from avscene.models.cnn.audio_cnn import LOG_MEL, AudioCnnPart, LogMelNetwork
from avscene.models.cnn.backbones import backbone_frame_spec
from avscene.models.cnn.frame_cnn import FrameCnnPart
from avscene.models.device import Runtime
from avscene.models.encoders import build_encoder
from avscene.models.fusion_network import FusionNetwork, FusionNetworkPart
from avscene.models.registry import FusionNetworkSystem, NetworkSystem, find, leaves
from avscene.records import Segment
from avscene.training.experiment.predictions import layout_of
from benchmarks.fast_precision import load_fast
from benchmarks.random_weights import backbone

E02, C04 = "E02", "C04"
AUDIO_MODELS = ("A01", "A02", "A03")
VIDEO_MODELS = ("V01", "V02", "V03")
CPU = Runtime.choose("cpu", "float32")
N_CALIBRATION = 8  # segments on which the activations are scaled
N_ROWS = 1000  # on which the fusion is fitted


@dataclass(frozen=True)
class Networks:
    """The trainable parts: networks on log-mels and frames by the names of their models, and the fusion network.

    `architectures` are timm's names of the networks, `bands` mean and deviation (n_mels,) of log-mels in dB,
    `encoder_keys` the keys of the fusion network's encoders.
    """

    architectures: Mapping[str, str]
    bands: Mapping[str, Tensor]
    backbones: Mapping[str, nn.Module]
    encoder_keys: Mapping[str, str]
    fusion_network: FusionNetwork


def load_random(directory: Path, segments: Sequence[Segment], *, device: str, quick: bool) -> tuple[Networks, System]:
    """Build networks for these segments, save them to `directory` and load them as a system; return both."""
    networks = random_networks(segments[:N_CALIBRATION], quick=quick)
    save_e02(directory, networks)
    return networks, load_fast(
        lambda precision: avscene.load(directory, device=device, precision=precision, offline=True)
    )


def random_networks(segments: Sequence[Segment], *, quick: bool) -> Networks:
    """Return networks for these segments, the same at every call; `quick` takes small architectures."""
    batch = SegmentBatch(segments)
    mels = batch.log_mels(LOG_MEL, CPU.device)
    bands = {"mean": mels.mean(dim=(0, 2)), "deviation": mels.std(dim=(0, 2))}
    (standardised,) = LogMelNetwork(nn.Linear(1, 1), **bands, image_size=None).inputs(mels)
    architectures, backbones = {}, {}
    for name in (*AUDIO_MODELS, *VIDEO_MODELS):
        row = find(name)
        assert isinstance(row, NetworkSystem)
        architectures[name] = row.backbone_for("small" if quick else "paper")
        images = standardised if name in AUDIO_MODELS else batch.frames(backbone_frame_spec(architectures[name]))
        backbones[name] = backbone(architectures[name], images, len(TAU_SCENES))
    return Networks(architectures, bands, backbones, *_fusion_network())


def _fusion_network() -> tuple[Mapping[str, str], FusionNetwork]:
    """Return the keys of the encoders and the network on their embeddings."""
    row = find(C04)
    assert isinstance(row, FusionNetworkSystem)
    encoders = {name: build_encoder(name, CPU) for name in row.encoders}
    torch.manual_seed(0)
    network = FusionNetwork([encoder.embedding_size for encoder in encoders.values()], len(TAU_SCENES))
    for width, branch in zip(network.sizes, network.branches, strict=True):
        branch[1].running_var.fill_(1 / (3 * width))  # of torch's initial weights for embeddings of length 1
    keys = {name: encoder.key for name, encoder in encoders.items()}
    return keys, network.eval().requires_grad_(requires_grad=False)


def save_e02(directory: Path, networks: Networks) -> None:
    """Save a checkpoint of all networks, with a fusion fitted on random probabilities."""
    parts, tensors = zip(*(_part(name, networks) for name in leaves(E02)), strict=True)
    metadata = {"training": {}, "metrics": {}, "versions": {}}
    config = Config(
        name=E02, recipe=E02, labels=TAU_SCENES.names, hop=1.0, models=parts, fusion=_random_fusion(), **metadata
    )
    save_checkpoint(directory, config, dict(zip(leaves(E02), tensors, strict=True)), "Random weights.\n")


def _part(name: str, networks: Networks) -> tuple[Part, dict[str, Tensor]]:
    if name == C04:
        encoders, keys = tuple(networks.encoder_keys), tuple(networks.encoder_keys.values())
        part = FusionNetworkPart(name=C04, encoders=encoders, sizes=networks.fusion_network.sizes, encoder_keys=keys)
        return part, networks.fusion_network.state_dict()
    architecture, tensors = networks.architectures[name], networks.backbones[name].state_dict()
    if name in VIDEO_MODELS:
        return FrameCnnPart(name=name, backbone=architecture, frames=backbone_frame_spec(architecture)), tensors
    prefixed = {f"backbone.{key}": tensor for key, tensor in tensors.items()}
    bands = {key: tensor.clone() for key, tensor in networks.bands.items()}  # a file cannot store a tensor twice
    return AudioCnnPart(name=name, backbone=architecture, log_mel=LOG_MEL), prefixed | bands


def _random_fusion() -> Fusion:
    random = np.random.default_rng(0)
    truth = random.integers(0, len(TAU_SCENES), N_ROWS)
    common = 2 * np.eye(len(TAU_SCENES))[truth] + 1.5 * random.normal(size=(N_ROWS, len(TAU_SCENES)))
    scores = {}
    for name in leaves(E02):
        logits = common + random.normal(size=common.shape)
        scores[name] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return fit_fusion(layout_of(E02), scores, truth, TAU_SCENES)
