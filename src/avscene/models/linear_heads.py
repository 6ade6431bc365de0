"""Score segments with a trained linear head on the embeddings of a frozen encoder."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional

from avscene.errors import CheckpointError
from avscene.familiarity.detector import FamiliarityDetector
from avscene.features.batch import SegmentBatch
from avscene.features.frames import FrameSpec
from avscene.features.logmel import LogMelSpec, band_statistics
from avscene.labels import LabelSet
from avscene.models import SegmentEncoder
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import EMBEDDING_SIZE, LITE0, embedding_network, embedding_size
from avscene.models.familiarity_tensors import familiarity_detector, without_familiarity
from avscene.models.inference import Inference
from avscene.models.weights.packaged import IMAGENET_WEIGHTS
from avscene.records import FloatArray, Modality, SceneProbabilities, Segment


class VideoEncoder:
    """Segment encoder: EfficientNet-Lite on frames, averaged over the frames of a segment."""

    needs: Modality = "video"
    sample_rate = None

    def __init__(self, spec: FrameSpec, runtime: Runtime, architecture: str = LITE0) -> None:
        self.spec = spec
        self.architecture = architecture
        self._network = embedding_network(architecture, runtime.in_float32())
        self.networks = {"image": self._network}
        self.embedding_size = embedding_size(architecture)

    @property
    def key(self) -> str:
        """The network, its weights and the preprocessing."""
        return f"{self.architecture} {IMAGENET_WEIGHTS[self.architecture].sha256} {self.spec}"

    @property
    def frame_size(self) -> int:
        """Shorter side in pixels to which the decoder scales frames."""
        return self.spec.resize

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return embeddings (n_segments, embedding_size); NaN rows for segments without frames."""
        batch = SegmentBatch.of(segments)
        return batch.average_over_frames(self._network(batch.frames(self.spec)))


class AudioEncoder:
    """Segment encoder: EfficientNet-Lite0 on log-mels as images, and the mean and deviation of each mel band.

    The network was trained on photographs; the textures that it recognises also distinguish log-mels.
    """

    needs: Modality = "audio"
    frame_size = None

    def __init__(self, spec: LogMelSpec, runtime: Runtime, image_size: tuple[int, int]) -> None:
        self.spec = spec
        self.image_size = image_size
        self._network = embedding_network(LITE0, runtime.in_float32())
        self.networks = {"audio": self._network}

    @property
    def sample_rate(self) -> int:
        """Sample rate in Hz of the waveforms."""
        return self.spec.sample_rate

    @property
    def key(self) -> str:
        """The network, its weights and the preprocessing."""
        return f"{LITE0} {IMAGENET_WEIGHTS[LITE0].sha256} {self.spec} {self.image_size}"

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        return EMBEDDING_SIZE + 2 * self.spec.n_mels

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return embeddings (n_segments, embedding_size); NaN rows for segments without audio."""
        batch = SegmentBatch.of(segments)
        return batch.align_audio(self.embed_log_mels(batch.log_mels(self.spec, torch.device("cpu"))))

    def embed_log_mels(self, mels: Tensor) -> Tensor:
        """Return embeddings (n, embedding_size) of log-mels (n, n_mels, n_times) in dB."""
        images = self._network(mel_images(mels, self.spec, self.image_size))
        return torch.cat([images, band_statistics(mels)], dim=1)


# In dB; almost no band of real recordings is louder (full-scale noise is at about 0). White in the image.
_CEILING_DB = 0.0


def mel_images(mels: Tensor, spec: LogMelSpec, size: tuple[int, int]) -> Tensor:
    """Return images (n, 3, *size) in about [-1, 1] of log-mels (n, n_mels, n_times) in dB; low bands at the bottom."""
    level = (mels - spec.floor_db) / (_CEILING_DB - spec.floor_db)
    images = (2 * level - 1).flip(1)[:, None]
    scaled = functional.interpolate(images, size, mode="bilinear", align_corners=False)
    return scaled.expand(-1, 3, -1, -1)


class LinearHead:
    """Multinomial logistic regression: softmax(embeddings @ weight + bias).

    `weight` (embedding_size, n_scenes), `bias` (n_scenes,).
    """

    def __init__(self, weight: FloatArray, bias: FloatArray) -> None:
        self.weight = weight.astype(np.float64)
        self.bias = bias.astype(np.float64)

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors for a checkpoint, in single precision."""
        return {"weight": torch.from_numpy(self.weight).float(), "bias": torch.from_numpy(self.bias).float()}

    def probabilities(self, embeddings: FloatArray) -> FloatArray:
        """Return probabilities (n, n_scenes) of embeddings (n, embedding_size); NaN rows stay NaN."""
        logits = embeddings @ self.weight + self.bias
        unscaled = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(unscaled / unscaled.sum(axis=1, keepdims=True))


class LinearHeadModel:
    """Scene model: a frozen encoder and a linear head, and a measure of how familiar its embeddings are."""

    def __init__(
        self,
        name: str,
        labels: LabelSet,
        encoder: SegmentEncoder,
        head: LinearHead,
        familiarity: FamiliarityDetector | None = None,
    ) -> None:
        self.name = name
        self.labels = labels
        self.encoder = encoder
        self.head = head
        self.familiarity = familiarity

    @property
    def networks(self) -> Mapping[str, Inference]:
        """Network of the encoder."""
        return self.encoder.networks

    @property
    def needs(self) -> Modality:
        """Modality of the encoder's input."""
        return self.encoder.needs

    @property
    def sample_rate(self) -> int | None:
        """Sample rate in Hz of the waveforms, or None if the encoder takes no audio."""
        return self.encoder.sample_rate

    @property
    def frame_size(self) -> int | None:
        """Shorter side of the frames in pixels, or None if the encoder takes no video."""
        return self.encoder.frame_size

    def score(self, segments: Sequence[Segment]) -> SceneProbabilities:
        """Return probabilities (n_segments, n_scenes); NaN rows for segments without the modality."""
        embeddings = self.encoder.embed(segments)
        familiarity = None if self.familiarity is None else self.familiarity.score(embeddings)
        return SceneProbabilities(self.labels, self.head.probabilities(embeddings), familiarity)


class _LinearHeadPart(BaseModel):
    """Entry of a checkpoint's configuration.

    The tensors are the `weight` and `bias` of the head and, unless the checkpoint is of an earlier version, those of a
    familiarity detector (`familiarity_tensors`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    encoder: str = LITE0
    encoder_sha256: str = IMAGENET_WEIGHTS[LITE0].sha256

    def _check_encoder(self) -> None:
        weights = IMAGENET_WEIGHTS.get(self.encoder)
        if weights is None or weights.sha256 != self.encoder_sha256:
            raise CheckpointError(
                f"model {self.name!r} was trained on another encoder "
                f"({self.encoder}, SHA-256 {self.encoder_sha256[:12]}...); train again"
            )

    def _with_head(self, encoder: SegmentEncoder, labels: LabelSet, tensors: Mapping[str, Tensor]) -> LinearHeadModel:
        size = encoder.embedding_size
        expected = {"weight": (size, len(labels)), "bias": (len(labels),)}
        own = without_familiarity(tensors)
        if {name: tuple(tensor.shape) for name, tensor in own.items()} != expected:
            raise CheckpointError(f"the head of model {self.name!r} is missing or does not fit")
        head = LinearHead(own["weight"].numpy(), own["bias"].numpy())
        detector = familiarity_detector(self.name, tensors, size, len(labels))
        return LinearHeadModel(self.name, labels, encoder, head, detector)


class VideoHeadPart(_LinearHeadPart):
    """Configuration of a linear head on a `VideoEncoder`."""

    kind: Literal["frozen-video"] = "frozen-video"
    frames: FrameSpec

    def build(self, labels: LabelSet, tensors: Mapping[str, Tensor], runtime: Runtime) -> LinearHeadModel:
        """Build the model.

        Raises:
            CheckpointError: it was trained on another encoder, or the tensors do not fit.
            WeightsError: the encoder's weights are not installed.
        """
        self._check_encoder()
        return self._with_head(VideoEncoder(self.frames, runtime, self.encoder), labels, tensors)


class AudioHeadPart(_LinearHeadPart):
    """Configuration of a linear head on an `AudioEncoder`; `image_size` is height and width in pixels."""

    kind: Literal["frozen-audio"] = "frozen-audio"
    encoder: Literal["tf_efficientnet_lite0"] = "tf_efficientnet_lite0"
    log_mel: LogMelSpec
    image_size: tuple[int, int]

    def build(self, labels: LabelSet, tensors: Mapping[str, Tensor], runtime: Runtime) -> LinearHeadModel:
        """Build the model.

        Raises:
            CheckpointError: it was trained on another encoder, or the tensors do not fit.
            WeightsError: the encoder's weights are not installed.
        """
        self._check_encoder()
        return self._with_head(AudioEncoder(self.log_mel, runtime, self.image_size), labels, tensors)
