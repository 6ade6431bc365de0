"""Collect the scored batches of a recording until it is complete."""

from typing import NamedTuple

from avscene.errors import MediaError
from avscene.inference.scoring.batches import RecordingInfo
from avscene.inference.sources import Source
from avscene.records import FloatArray, Segment


class ScoredSegment(NamedTuple):
    """A segment without media, with the probabilities (n_models, n_scenes) of the models.

    `familiarity` (n_models,) is NaN where a model does not measure it; None if none of the models does.
    """

    segment: Segment
    probabilities: FloatArray
    familiarity: FloatArray | None


class ScoredBatch(NamedTuple):
    """The scored segments of a batch."""

    position: int
    number: int
    segments: list[ScoredSegment]
    source: Source
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
        self.reached = max(self.reached, *(scored.segment.end for scored in batch.segments), 0.0)
        self._batches.append(batch)
        if batch.end is not None:
            self.end, self._last = batch.end, batch.number

    @property
    def is_complete(self) -> bool:
        """Whether all batches are here."""
        return len(self._batches) == self._last + 1

    def segments(self) -> list[ScoredSegment]:
        """Return the segments in order."""
        ordered = sorted(self._batches, key=lambda batch: batch.number)
        return [scored for batch in ordered for scored in batch.segments]
