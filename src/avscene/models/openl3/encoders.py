"""Compute OpenL3 embeddings of segments: of each second of audio, and of the middle frame."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from avscene.errors import WeightsError
from avscene.features.batch import SegmentBatch
from avscene.features.openl3 import BLANK_CROP, BLANK_LOG_MEL, RESIZE, SAMPLE_RATE
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.models.openl3.network import OpenL3Network
from avscene.models.openl3.weights import AUDIO, IMAGE, OpenL3Weights, load_tensors
from avscene.models.weights.strict import faults, fill
from avscene.records import FloatArray, Modality, Segment

_BATCH = 8  # inputs at once, of 10 billion multiplications each; more only costs memory
# Part of the keys: to be changed whenever the preprocessing changes.
_AUDIO_FRONT_END = "kapre-0.1.4 htk mel256"
_IMAGE_FRONT_END = "crop224 [0, 1]"


class OpenL3AudioEncoder:
    """OpenL3's audio network on each whole second of a segment, averaged over the seconds.

    The last part of a second of a segment is filled with silence.
    """

    needs: Modality = "audio"
    frame_size = None
    sample_rate = SAMPLE_RATE

    def __init__(self, network: OpenL3Network, source_sha256: str, runtime: Runtime) -> None:
        self.key = f"openl3-audio {source_sha256} {network.embedding_size} {_AUDIO_FRONT_END}"
        self.embedding_size = network.embedding_size
        self._network = Inference(network, [BLANK_LOG_MEL], runtime)
        self.networks = {"audio": self._network}

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return embeddings (n_segments, embedding_size); NaN rows for segments without audio."""
        batch = SegmentBatch.of(segments)
        return batch.average_over_windows(_in_parts(self._network, batch.openl3_log_mels)).astype(np.float32)


class OpenL3ImageEncoder:
    """OpenL3's image network on the middle frame of a segment."""

    needs: Modality = "video"
    frame_size = RESIZE
    sample_rate = None

    def __init__(self, network: OpenL3Network, source_sha256: str, runtime: Runtime) -> None:
        self.key = f"openl3-image {source_sha256} {network.embedding_size} {_IMAGE_FRONT_END}"
        self.embedding_size = network.embedding_size
        self._network = Inference(network, [BLANK_CROP], runtime)
        self.networks = {"image": self._network}

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return embeddings (n_segments, embedding_size); NaN rows for segments without frames."""
        batch = SegmentBatch.of(segments)
        return batch.align_video(_in_parts(self._network, batch.openl3_crops)).astype(np.float32)


def _in_parts(network: Inference, inputs: Tensor) -> Tensor:
    return torch.cat([network(part) for part in torch.split(inputs, _BATCH)])


def load_openl3_encoder(name: str, runtime: Runtime) -> OpenL3AudioEncoder | OpenL3ImageEncoder:
    """Load the encoder `openl3-audio` or `openl3-image` (environmental videos, 256 mel bands, 512 values).

    Raises:
        WeightsError: the weights are absent and cannot be fetched, or are not what they should be.
    """
    if name == "openl3-audio":
        return OpenL3AudioEncoder(*_load(AUDIO, runtime), runtime)
    return OpenL3ImageEncoder(*_load(IMAGE, runtime), runtime)


def _load(weights: OpenL3Weights, runtime: Runtime) -> tuple[OpenL3Network, str]:
    arrays, sha256 = load_tensors(weights, offline=runtime.offline, progress=runtime.progress)
    network = OpenL3Network(weights.branch)
    found = {name: torch.tensor(array) for name, array in arrays.items()}
    if problems := faults(network, found):
        raise WeightsError(f"{weights.converted}: was made by another version ({problems}); delete it and run again")
    fill(network, found)
    return network.train(mode=False), sha256
