"""Embed log-mels of other levels and bandwidths, on which heads are trained beside the clean ones."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import torch

from avscene.features.batch import SegmentBatch
from avscene.models.linear_heads import AudioEncoder
from avscene.records import FloatArray, Modality, Segment
from avscene.training import augment

LIMITED = 0.75  # share of the log-mels whose band is limited
MAX_GAIN = 10.0  # dB


class AugmentedAudioEncoder:
    """Segment encoder: an `AudioEncoder` on augmented log-mels.

    Random numbers depend on the log-mel alone, not on the batch.
    """

    needs: Modality = "audio"
    frame_size = None

    def __init__(self, encoder: AudioEncoder) -> None:
        self._encoder = encoder
        self.sample_rate = encoder.sample_rate
        self.embedding_size = encoder.embedding_size
        self.key = f"{encoder.key} augmented"
        self.networks = encoder.networks

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        """Return embeddings (n_segments, embedding_size); NaN rows for segments without audio."""
        batch, spec = SegmentBatch.of(segments), self._encoder.spec
        mels = batch.log_mels(spec, torch.device("cpu")).clone()
        for row, mel in enumerate(mels):
            random = np.random.default_rng(crc32(mel.numpy().tobytes()))
            limited = augment.limit_band(mel, spec, LIMITED, random)
            mels[row] = augment.change_level(limited, spec, MAX_GAIN, random)
        return batch.align_audio(self._encoder.embed_log_mels(mels))
