"""Collect the scored batches of a recording until it is complete."""

from typing import NamedTuple

from avscene.errors import MediaError
from avscene.inference.reading import RecordingInfo
from avscene.records import FloatArray, Segment


class ScoredBatch(NamedTuple):
    """A batch without media, with the output of each model for each segment: `rows` (n, n_models, n_scenes)."""

    position: int
    number: int
    segments: list[Segment]
    rows: FloatArray
    end: RecordingInfo | MediaError | None


class ScoredRecording:
    """Collects the scored batches of a recording, which come in any order; `end` comes with the last one."""

    def __init__(self) -> None:
        self.end: RecordingInfo | MediaError | None = None
        self._batches: list[ScoredBatch] = []
        self._last = -1
        self.reached = 0.0  # end of the last segment so far, in seconds

    def add(self, batch: ScoredBatch) -> None:
        """Take one of the batches."""
        self.reached = max(self.reached, *(segment.end for segment in batch.segments), 0.0)
        self._batches.append(batch)
        if batch.end is not None:
            self.end, self._last = batch.end, batch.number

    @property
    def is_complete(self) -> bool:
        """Whether all batches are here."""
        return len(self._batches) == self._last + 1

    def segments(self) -> list[tuple[Segment, FloatArray]]:
        """Return the segments in order, each with the output of each model (n_models, n_scenes)."""
        ordered = sorted(self._batches, key=lambda batch: batch.number)
        return [pair for batch in ordered for pair in zip(batch.segments, batch.rows, strict=True)]
