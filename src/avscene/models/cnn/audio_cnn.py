"""Classify audio with a fine-tuned convolutional network on log-mels."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn import functional

from avscene.errors import CheckpointError
from avscene.familiarity.detector import FamiliarityDetector
from avscene.features.batch import SegmentBatch
from avscene.features.logmel import LogMelSpec, band_statistics
from avscene.labels import LabelSet
from avscene.models.cnn.backbones import blank_backbone
from avscene.models.cnn.block_network import BlockNetwork, blank_block_network
from avscene.models.cnn.classifying import ClassifyingNetwork, feature_size
from avscene.models.device import Runtime
from avscene.models.familiarity_tensors import familiarity_detector, without_familiarity
from avscene.models.weights.strict import faults, fill
from avscene.records import FloatArray, Modality, SceneProbabilities, Segment

# 128 bands by 188 steps of 5.3 ms for a second: the only exact front end for 1-s segments of this data set that is
# public (denfed/wave-spec-fusion).
LOG_MEL = LogMelSpec(sample_rate=48_000, n_fft=2048, hop_length=256, n_mels=128, f_min=0.0, f_max=24_000.0)
BAND_STATISTICS = 2  # a BlockNetwork is also given mean and deviation of each band
MIN_DEVIATION = 1.0  # dB; the nearly constant values of a band that a codec removed are not amplified


class LogMelNetwork(nn.Module):
    """A backbone for images on standardised log-mels.

    `mean` and `deviation` (n_mels,) in dB are those of each band in the training data. Standardised log-mels are
    resized to `image_size` (height, width) in pixels, unless it is None, and repeated in three channels. A BlockNetwork
    gets them with low frequencies at the bottom, and also the mean and deviation of each band over time.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, backbone: nn.Module, mean: Tensor, deviation: Tensor, image_size: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.image_size = image_size
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, mels: Tensor) -> Tensor:
        """Return logits (n, n_scenes) of log-mels (n, n_mels, n_times) in dB."""
        logits: Tensor = self.backbone(*self.inputs(mels))
        return logits

    def features(self, mels: Tensor) -> Tensor:
        """Return the features (n, n_features) of a BlockNetwork for log-mels (n, n_mels, n_times) in dB."""
        features: Tensor = self.backbone.features(*self.inputs(mels))  # type: ignore[operator]
        return features

    def inputs(self, mels: Tensor) -> tuple[Tensor, ...]:
        """Return inputs of the backbone: images (n, 3, height, width); a BlockNetwork also gets (n, 2 n_mels)."""
        scale = self.deviation.clamp_min(MIN_DEVIATION)
        levels = (mels - self.mean[:, None]) / scale[:, None]
        is_block_network = isinstance(self.backbone, BlockNetwork)
        images = (levels.flip(1) if is_block_network else levels)[:, None]
        if self.image_size is not None:
            images = functional.interpolate(images, self.image_size, mode="bilinear", align_corners=False)
        images = images.to(next(self.backbone.parameters()).dtype).expand(-1, 3, -1, -1)
        images = images.contiguous(memory_format=torch.channels_last)
        if is_block_network:
            return images, band_statistics(levels)
        return (images,)


class AudioCnn:
    """A fine-tuned network on log-mels, and a measure of how familiar its features are."""

    needs: Modality = "audio"
    frame_size = None

    def __init__(
        self,
        name: str,
        labels: LabelSet,
        network: LogMelNetwork,
        spec: LogMelSpec,
        runtime: Runtime,
        familiarity: FamiliarityDetector | None = None,
    ) -> None:
        self.name = name
        self.labels = labels
        self.spec = spec
        self._familiarity = familiarity
        self._backbone = ClassifyingNetwork(network.backbone, network.inputs(spec.blank), runtime)
        self.networks = {name: self._backbone.inference}
        self._front_end = network.to(runtime.device)
        self._device = runtime.device

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz of the waveforms to decode."""
        return self.spec.sample_rate

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes); NaN rows for segments without audio."""
        batch = SegmentBatch.of(segments)
        probabilities, features = map(batch.align_audio, self._outputs(batch))
        familiarity = None if self._familiarity is None else self._familiarity.score(features)
        return SceneProbabilities(self.labels, probabilities, familiarity)

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return the features (n_segments, n_features) of `ClassifyingNetwork`; NaN rows without audio."""
        batch = SegmentBatch.of(segments)
        return batch.align_audio(self._outputs(batch)[1])

    @torch.inference_mode()
    def _outputs(self, batch: SegmentBatch) -> tuple[Tensor, Tensor]:
        """Probabilities and features of the segments with audio."""
        return self._backbone(*self._front_end.inputs(batch.log_mels(self.spec, self._device)))


def waveforms_to_tensor(waveforms: Sequence[FloatArray | None]) -> Tensor:
    """Stack `waveforms`, none of which is None and all of one length, to (n, samples)."""
    return torch.from_numpy(np.stack([waveform for waveform in waveforms if waveform is not None]))


class AudioCnnPart(BaseModel):
    """Configuration of an AudioCnn in a checkpoint.

    `image_size` is height and width in pixels; with `blocks` the network is a BlockNetwork. Beside the tensors of the
    network, there may be those of a familiarity detector on its features.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["audio-cnn"] = "audio-cnn"
    name: str
    backbone: str
    log_mel: LogMelSpec
    image_size: tuple[int, int] | None = None
    blocks: bool = False

    def build(self, labels: LabelSet, tensors: Mapping[str, Tensor], runtime: Runtime) -> AudioCnn:
        """Build the model with its weights.

        Raises:
            CheckpointError: the tensors are not exactly those of the network.
            UsageError: there is no such network.
        """
        blank = torch.empty(self.log_mel.n_mels, device="meta")
        network = LogMelNetwork(self._without_weights(len(labels)), blank, blank.clone(), self.image_size)
        own = without_familiarity(tensors)
        if wrong := faults(network, own):
            raise CheckpointError(f"model {self.name!r}: its tensors are not those of {self.backbone}: {wrong}")
        fill(network, own)
        detector = familiarity_detector(self.name, tensors, feature_size(network.backbone), len(labels))
        return AudioCnn(self.name, labels, network, self.log_mel, runtime, detector)

    def _without_weights(self, n_scenes: int) -> nn.Module:
        if self.blocks:
            return blank_block_network(self.backbone, n_scenes, BAND_STATISTICS * self.log_mel.n_mels)
        return blank_backbone(self.backbone, n_scenes)
