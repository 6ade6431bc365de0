"""Predict the scenes of the recordings that a reader decodes, and return the outcomes in their order."""

from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import closing

import torch

from avscene.errors import AvsceneError
from avscene.inference.reading import BatchReader
from avscene.inference.scoring.batches import Batch
from avscene.inference.scoring.prediction import Predictor
from avscene.inference.scoring.score import score_segments
from avscene.inference.scoring.scored import ScoredBatch, ScoredRecording
from avscene.inference.sources import Source
from avscene.records import Failure, Prediction
from avscene.storage.urls import shown

# Batches that are scored at a time: while one is prepared or fills only some of the processors, another uses the rest.
SCORING_THREADS = 2

SourceOutcome = tuple[Source, Prediction | AvsceneError]


def predict_recordings(
    predictor: Predictor, reader: BatchReader, progress: Callable[[int, float], None] | None = None
) -> Generator[SourceOutcome, None, None]:
    """Yield each source with its prediction, or with the error that prevented it, in the order of the sources.

    `progress` is called with the position of a source and the end of its last scored segment, in seconds.
    """
    outcomes: dict[int, SourceOutcome] = {}  # that wait for an earlier one
    n_yielded = 0
    with closing(predict_unordered(predictor, reader, progress)) as finished:
        for position, outcome in finished:
            outcomes[position] = outcome
            while n_yielded in outcomes:
                yield outcomes.pop(n_yielded)
                n_yielded += 1


def predict_unordered(
    predictor: Predictor, reader: BatchReader, progress: Callable[[int, float], None] | None = None
) -> Generator[tuple[int, SourceOutcome], None, None]:
    """Yield the position of each source with what `predict_recordings` yields of it, as soon as it is ready."""
    n_threads = torch.get_num_threads()  # in this thread; in others torch has other settings

    def score(batch: Batch) -> ScoredBatch:
        torch.set_num_threads(n_threads)
        scored = score_segments(predictor.models, batch.segments)
        return ScoredBatch(batch.position, batch.number, scored, batch.source, batch.end)

    recordings: dict[int, ScoredRecording] = defaultdict(ScoredRecording)  # unfinished ones, by position
    with closing(reader.map(score, SCORING_THREADS)) as scored:
        for batch in scored:
            position, recording = batch.position, recordings[batch.position]
            recording.add(batch)
            if progress is not None and batch.segments:
                progress(position, recording.reached)
            if recording.is_complete:
                del recordings[position]
                yield position, (batch.source, _outcome(predictor, batch.source, recording))


def outcomes_of(found: Generator[SourceOutcome, None, None]) -> Generator[Prediction | Failure, None, None]:
    """Yield the predictions, and failures in place of errors."""
    with closing(found):
        for source, outcome in found:
            yield Failure(shown(source.path), outcome) if isinstance(outcome, AvsceneError) else outcome


def _outcome(predictor: Predictor, source: Source, recording: ScoredRecording) -> Prediction | AvsceneError:
    """Return the prediction of a complete recording, or the error that prevented it."""
    assert recording.end is not None
    if isinstance(recording.end, AvsceneError):
        return recording.end
    try:
        return predictor.recording(shown(source.path), recording.end, recording.segments())
    except AvsceneError as error:
        return error
