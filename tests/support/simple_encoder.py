"""An encoder that is fast and whose embeddings can be computed by hand, and records what it was given."""

from collections.abc import Sequence

import numpy as np

from avscene.records import FloatArray, Modality, Segment


class SimpleEncoder:
    """Embeds the mean color of the frame, or the number of samples, mean loudness and start of the audio."""

    embedding_size = 3

    def __init__(self, needs: Modality = "video", rate: int | None = None, key: str = "simple/1") -> None:
        self.needs: Modality = needs
        self.sample_rate = rate
        self.frame_size = 48 if needs == "video" else None
        self.key = key
        self.embedded: list[Segment] = []

    def embed(self, segments: Sequence[Segment]) -> FloatArray:
        self.embedded += segments
        return np.stack([self._embedding(segment) for segment in segments]).astype(np.float32)

    def _embedding(self, segment: Segment) -> FloatArray:
        if not segment.has(self.needs):
            return np.full(3, np.nan)
        if self.needs == "audio":
            assert segment.waveform is not None
            return np.array([len(segment.waveform), np.abs(segment.waveform).mean(), segment.start])
        return segment.frames[0].pixels.mean(axis=(0, 1))
