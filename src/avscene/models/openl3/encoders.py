"""Segments in, OpenL3 embeddings out: one for each second of sound, one for the frame in the middle."""

from collections.abc import Sequence

import numpy as np
import torch

from avscene.errors import WeightsError
from avscene.models.device import Runtime
from avscene.models.inference import Inference
from avscene.models.openl3.frontend import (
    CROP,
    N_MELS,
    N_TIMES,
    RESIZE,
    SAMPLE_RATE,
    crops,
    log_mels,
    one_second_windows,
)
from avscene.models.openl3.network import OpenL3Network
from avscene.models.openl3.weights import AUDIO, IMAGE, PublishedWeights, tensors
from avscene.models.weights.strict import faults, fill
from avscene.records import FloatArray, Modality, Segment

_BATCH = 8  # of 10 billion multiplications each; more only costs memory
# Goes into the keys: to be changed whenever a front end is.
_AUDIO_FRONT_END = "kapre-0.1.4 htk mel256"
_IMAGE_FRONT_END = "crop224 [0, 1]"


class OpenL3AudioEncoder:
    """OpenL3's audio network on each whole second of a segment; the mean, where there are several."""

    needs: Modality = "audio"
    frame_size = None
    sample_rate = SAMPLE_RATE

    def __init__(self, network: OpenL3Network, source_sha256: str, runtime: Runtime) -> None:
        self.key = f"openl3-audio {source_sha256} {network.embedding_size} {_AUDIO_FRONT_END}"
        self.embedding_size = network.embedding_size
        self._network = Inference(network, [torch.zeros(1, 1, N_MELS, N_TIMES)], runtime)

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Embeddings (n_segments, embedding_size); NaN rows for segments without sound.

        A part of a second at the end of a segment is filled with silence.
        """
        embeddings = np.full((len(segments), self.embedding_size), np.nan, np.float32)
        windows = {row: one_second_windows(s.waveform) for row, s in enumerate(segments) if s.waveform is not None}
        if windows:
            counts = [len(part) for part in windows.values()]
            seconds = torch.from_numpy(np.concatenate(list(windows.values())))
            encoded = torch.cat([self._network(log_mels(part)) for part in torch.split(seconds, _BATCH)])
            for row, part in zip(windows, torch.split(encoded, counts), strict=True):
                embeddings[row] = part.mean(0).numpy()
        return embeddings


class OpenL3ImageEncoder:
    """OpenL3's image network on the frame in the middle of a segment."""

    needs: Modality = "video"
    frame_size = RESIZE
    sample_rate = None

    def __init__(self, network: OpenL3Network, source_sha256: str, runtime: Runtime) -> None:
        self.key = f"openl3-image {source_sha256} {network.embedding_size} {_IMAGE_FRONT_END}"
        self.embedding_size = network.embedding_size
        self._network = Inference(network, [torch.zeros(1, 3, CROP, CROP)], runtime)

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Embeddings (n_segments, embedding_size); NaN rows for segments without frames."""
        embeddings = np.full((len(segments), self.embedding_size), np.nan, np.float32)
        middles = {row: s.frames[len(s.frames) // 2].pixels for row, s in enumerate(segments) if s.frames}
        if middles:
            images = crops(list(middles.values()))
            encoded = torch.cat([self._network(part) for part in torch.split(images, _BATCH)])
            embeddings[list(middles)] = encoded.numpy()
        return embeddings


def load_openl3_encoder(name: str, runtime: Runtime) -> OpenL3AudioEncoder | OpenL3ImageEncoder:
    """Load the encoder `openl3-audio` or `openl3-image` (environmental videos, 256 mel bands, 512 values).

    Raises:
        WeightsError: the weights are absent and cannot be fetched, or are not what they should be.
    """
    if name == "openl3-audio":
        return OpenL3AudioEncoder(*_load(AUDIO, runtime), runtime)
    return OpenL3ImageEncoder(*_load(IMAGE, runtime), runtime)


def _load(weights: PublishedWeights, runtime: Runtime) -> tuple[OpenL3Network, str]:
    arrays, sha256 = tensors(weights, offline=runtime.offline)
    network = OpenL3Network(weights.branch)
    found = {name: torch.tensor(array) for name, array in arrays.items()}
    if unfit := faults(network, found):
        raise WeightsError(f"{weights.converted}: was made by another version ({unfit}); delete it and run again")
    fill(network, found)
    return network.train(mode=False), sha256
