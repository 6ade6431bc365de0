"""Frozen encoders with a small trained head: what recipe `fast` trains and its checkpoints hold."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from avscene.features.frames import FrameSpec, frames_to_tensor
from avscene.features.logmel import LogMelSpec, log_mel
from avscene.labels import LabelSet
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import EMBEDDING_SIZE, load_efficientnet_lite0
from avscene.records import FloatArray, Modality, SceneScores, Segment


class SegmentEncoder(Protocol):
    """Segments in, embeddings out; `needs`, `sample_rate` and `frame_size` as in a SceneModel."""

    needs: Modality

    @property
    def sample_rate(self) -> int | None:
        """Hz of the waveforms wanted, if any."""
        ...

    @property
    def frame_size(self) -> int | None:
        """Shorter side of the frames wanted in pixels, if any."""
        ...

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        ...

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Embeddings (n_segments, embedding_size); NaN rows for segments that lack the modality."""
        ...


class PictureEncoder:
    """EfficientNet-Lite0 on frames, averaged over the frames of a segment."""

    needs: Modality = "video"
    sample_rate = None
    embedding_size = EMBEDDING_SIZE

    def __init__(self, spec: FrameSpec, runtime: Runtime) -> None:
        self.spec = spec
        self._runtime = runtime
        self._network = load_efficientnet_lite0(runtime)

    @property
    def frame_size(self) -> int:
        """Shorter side in pixels that the front end asks of the decoder."""
        return self.spec.resize

    @torch.inference_mode()
    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Embeddings (n_segments, 1984); NaN rows for segments without frames."""
        embeddings = np.full((len(segments), self.embedding_size), np.nan, np.float32)
        counts = {row: len(segment.frames) for row, segment in enumerate(segments) if segment.frames}
        if counts:
            images = frames_to_tensor([frame.pixels for segment in segments for frame in segment.frames], self.spec)
            encoded = self._network.embed(_on(images, self._runtime)).float().cpu()
            for row, frames in zip(counts, torch.split(encoded, list(counts.values())), strict=True):
                embeddings[row] = frames.mean(0).numpy()
        return embeddings


class SoundEncoder:
    """EfficientNet-Lite0 on log-mels seen as images, beside the mean and deviation of every mel band.

    The network was trained on photographs; that its textures also tell sounds apart is the embedded default's finding.
    """

    needs: Modality = "audio"
    frame_size = None

    def __init__(self, spec: LogMelSpec, runtime: Runtime, image_size: tuple[int, int]) -> None:
        self.spec = spec
        self.image_size = image_size
        self._runtime = runtime
        self._network = load_efficientnet_lite0(runtime)

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms that the front end takes."""
        return self.spec.sample_rate

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        return EMBEDDING_SIZE + 2 * self.spec.n_mels

    @torch.inference_mode()
    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Embeddings (n_segments, embedding_size); NaN rows for segments without sound."""
        embeddings = np.full((len(segments), self.embedding_size), np.nan, np.float32)
        rows = [row for row, segment in enumerate(segments) if segment.waveform is not None]
        if rows:
            waveforms = np.stack([segment.waveform for segment in segments if segment.waveform is not None])
            mels = log_mel(torch.from_numpy(waveforms), self.spec)
            encoded = (
                self._network.embed(_on(mel_images(mels, self.spec, self.image_size), self._runtime)).float().cpu()
            )
            embeddings[rows] = torch.cat([encoded, mels.mean(2), mels.std(2)], dim=1).numpy()
        return embeddings


# dB above which almost no band of real recordings reaches (full-scale noise is at about 0); drawn as white.
_CEILING_DB = 0.0


def mel_images(mels: Tensor, spec: LogMelSpec, size: tuple[int, int]) -> Tensor:
    """Images (n, 3, *size) in about [-1, 1] of log-mels (n, n_mels, n_times) in dB, low notes at the bottom."""
    level = (mels - spec.floor_db) / (_CEILING_DB - spec.floor_db)
    images = (2 * level - 1).flip(1)[:, None]
    scaled = functional.interpolate(images, size, mode="bilinear", align_corners=False)
    return scaled.expand(-1, 3, -1, -1)


def _on(images: Tensor, runtime: Runtime) -> Tensor:
    return images.to(runtime.device, runtime.dtype, memory_format=torch.channels_last)


class LinearHead:
    """Multinomial logistic regression: softmax(embeddings @ weight + bias).

    `weight` (embedding_size, n_scenes), `bias` (n_scenes,).
    """

    def __init__(self, weight: FloatArray, bias: FloatArray) -> None:
        self.weight = weight.astype(np.float64)
        self.bias = bias.astype(np.float64)

    def probabilities(self, embeddings: FloatArray) -> FloatArray:
        """(n, n_scenes); NaN rows stay NaN."""
        logits = embeddings @ self.weight + self.bias
        unscaled = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(unscaled / unscaled.sum(axis=1, keepdims=True))


class FrozenModel:
    """A frozen encoder and its head under one name."""

    def __init__(self, name: str, labels: LabelSet, encoder: SegmentEncoder, head: LinearHead) -> None:
        self.name = name
        self.labels = labels
        self.encoder = encoder
        self.head = head

    @property
    def needs(self) -> Modality:
        """The modality that the encoder takes."""
        return self.encoder.needs

    @property
    def sample_rate(self) -> int | None:
        """Hz of the waveforms wanted, if any."""
        return self.encoder.sample_rate

    @property
    def frame_size(self) -> int | None:
        """Shorter side of the frames wanted in pixels, if any."""
        return self.encoder.frame_size

    def score(self, segments: Sequence[Segment]) -> SceneScores:
        """Probabilities (n_segments, n_scenes); NaN rows for segments that lack the modality."""
        return SceneScores(self.labels, self.head.probabilities(self.encoder.embed(segments)))
