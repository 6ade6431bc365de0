"""Run E02 as a simple script would: float32, one second and one network after the other.

PyAV decodes as its documentation shows, librosa computes log-mels, torchvision scales PIL images, and the networks are
called as timm and open_clip build them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchvision import transforms

from avscene.features.frames import FrameSpec
from avscene.fusion.tree import Fusion
from avscene.labels import TAU_SCENES
from avscene.models.cnn.audio_cnn import LOG_MEL
from avscene.models.fusion_network import FusionNetwork
from avscene.records import FloatArray
from benchmarks.librosa_log_mel import log_mel
from benchmarks.pyav_reading import middle_frames, waveform
from benchmarks.random_e02 import C04

Transform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class BaselineE02:
    """The networks of E02 and their fusion.

    `bands` standardise the log-mels of `audio_networks`. `frame_networks` and `clip_encoders` come with the transform
    of their images. `fusion_network` takes the embeddings of the encoders.
    """

    bands: Mapping[str, Tensor]
    audio_networks: Mapping[str, nn.Module]
    frame_networks: Mapping[str, tuple[Transform, nn.Module]]
    clip_encoders: Mapping[str, tuple[Transform, nn.Module]]
    fusion_network: FusionNetwork
    fusion: Fusion

    def classify(self, path: Path) -> FloatArray:
        """Return probabilities (n_seconds, n_scenes)."""
        return self.fusion.apply(self.scores(path), TAU_SCENES)

    @torch.inference_mode()
    def scores(self, path: Path) -> dict[str, FloatArray]:
        """Return the probabilities (n_seconds, n_scenes) of each model."""
        audio = waveform(path)
        rate = LOG_MEL.sample_rate
        by_second = [
            self._logits(image, audio[second * rate : (second + 1) * rate])
            for second, image in enumerate(middle_frames(path))
        ]
        logits = {name: torch.cat([second[name] for second in by_second]) for name in by_second[0]}
        return {name: values.double().softmax(dim=1).numpy() for name, values in logits.items()}

    def _logits(self, image: Image.Image, audio: FloatArray) -> dict[str, Tensor]:
        decibels = torch.from_numpy(log_mel(audio, LOG_MEL))
        levels = (decibels - self.bands["mean"][:, None]) / self.bands["deviation"][:, None]
        mels = levels.expand(1, 3, *levels.shape)
        logits = {name: network(mels) for name, network in self.audio_networks.items()}
        logits |= {name: network(prepare(image)[None]) for name, (prepare, network) in self.frame_networks.items()}
        embeddings = [
            normalize(encoder(prepare(image)[None]), dim=1) for prepare, encoder in self.clip_encoders.values()
        ]
        return logits | {C04: self.fusion_network(*embeddings)}


def transform(spec: FrameSpec) -> Transform:
    """Return the transform that timm and open_clip build from this configuration."""
    mode = transforms.InterpolationMode(spec.interpolation)
    steps = [transforms.Resize(spec.resize, mode), transforms.CenterCrop(spec.size), transforms.ToTensor()]
    return transforms.Compose([*steps, transforms.Normalize(spec.mean, spec.std)])
