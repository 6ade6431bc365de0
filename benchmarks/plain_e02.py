"""E02 as a straightforward script has it: float32, one second and one network after the other.

PyAV decodes as its documentation shows, librosa makes log-mels, torchvision scales PIL images, networks are called as
timm and open_clip build them.
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
from benchmarks.plain_log_mel import log_mel
from benchmarks.plain_reading import middle_frames, waveform
from benchmarks.random_e02 import C04

Transform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class PlainE02:
    """Networks on log-mels, which `bands` standardise; networks on frames and CLIP's towers, each with what makes its
    images; the network on what the towers say; the fusion of all."""

    bands: Mapping[str, Tensor]
    heard: Mapping[str, nn.Module]
    seen: Mapping[str, tuple[Transform, nn.Module]]
    towers: Mapping[str, tuple[Transform, nn.Module]]
    late: FusionNetwork
    fusion: Fusion

    def classify(self, path: Path) -> FloatArray:
        """Probabilities (n_seconds, n_scenes)."""
        return self.fusion.apply(self.scores(path), TAU_SCENES)

    @torch.inference_mode()
    def scores(self, path: Path) -> dict[str, FloatArray]:
        """What each model says (n_seconds, n_scenes)."""
        audio = waveform(path)
        rate = LOG_MEL.sample_rate
        by_second = [
            self._logits(image, audio[second * rate : (second + 1) * rate])
            for second, image in enumerate(middle_frames(path))
        ]
        logits = {name: torch.cat([told[name] for told in by_second]) for name in by_second[0]}
        return {name: values.double().softmax(dim=1).numpy() for name, values in logits.items()}

    def _logits(self, image: Image.Image, audio: FloatArray) -> dict[str, Tensor]:
        decibels = torch.from_numpy(log_mel(audio, LOG_MEL))
        levels = (decibels - self.bands["mean"][:, None]) / self.bands["deviation"][:, None]
        mels = levels.expand(1, 3, *levels.shape)
        logits = {name: network(mels) for name, network in self.heard.items()}
        logits |= {name: network(prepared(image)[None]) for name, (prepared, network) in self.seen.items()}
        embeddings = [normalize(tower(prepared(image)[None]), dim=1) for prepared, tower in self.towers.values()]
        return logits | {C04: self.late(*embeddings)}


def transform(spec: FrameSpec) -> Transform:
    """What timm and open_clip make of such a configuration."""
    mode = transforms.InterpolationMode(spec.interpolation)
    steps = [transforms.Resize(spec.resize, mode), transforms.CenterCrop(spec.size), transforms.ToTensor()]
    return transforms.Compose([*steps, transforms.Normalize(spec.mean, spec.std)])
