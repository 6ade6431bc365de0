"""Predict the segments of a stream of decoded frames and audio, each as soon as it is complete."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from avscene.arguments import wrong_argument
from avscene.errors import ModalityError, UsageError
from avscene.features.content import ContentFilter, ContentSpec
from avscene.inference.scoring.batches import grouped
from avscene.inference.scoring.prediction import Predictor
from avscene.inference.scoring.score import score_segments
from avscene.inference.scoring.scored import ScoredSegment
from avscene.media.sampling import Sampling
from avscene.records import MODALITY_NAMES, Modality, Segment, SegmentPrediction

TIME_ROUNDING = 1e-6  # seconds


def check_stream(chunks: object, modalities: object, max_lag: object) -> None:
    """Check the arguments of `System.classify_stream`.

    Raises:
        UsageError: one is of a wrong type.
    """
    if not isinstance(chunks, Iterable) or isinstance(chunks, Mapping | str | bytes):
        raise wrong_argument("chunks", chunks, "an iterable of dicts with frames, a waveform, or both")
    if modalities is not None:
        names = set(modalities) if isinstance(modalities, list | tuple | set | frozenset) else set()
        if not names or not names <= {"audio", "video"}:
            raise wrong_argument("modalities", modalities, "a tuple of 'audio', 'video', or both")
    if not isinstance(max_lag, int | float) or not max_lag >= 0:
        raise wrong_argument("max_lag", max_lag, "a number of seconds")


def predict_stream(
    predictor: Predictor,
    content: ContentSpec,
    sampling: Sampling,
    chunks: Iterable[Mapping[str, Any]],
    modalities: Iterable[Modality] | None,
    max_lag: float,
) -> Iterator[SegmentPrediction]:
    """Yield the predictions of segments; see `System.classify_stream`.

    Raises:
        UsageError: a chunk is not as `Chunk` describes it.
        ModalityError: the stream has no modality that the system needs.
    """
    iterator = iter(chunks)
    first = next(iterator, None)
    if first is None:
        return
    found = _modalities_of(first) if modalities is None else tuple(modalities)
    _check_needs(predictor, found)
    from avscene.media.arrays import StreamAssembler  # it loads the decoder, for its conversion of colors

    stream = StreamAssembler(sampling, found, max_lag)
    waiting = _Waiting(predictor)
    contents = ContentFilter(content)
    for chunk in chain([first], iterator):
        yield from waiting.add(predictor, contents.apply(stream.add(chunk)))
    yield from waiting.add(predictor, contents.apply(stream.finish()))
    yield from waiting.finish()


class _Waiting:
    """Scored segments that wait for those after them, on which smoothing depends, and those before that it needs."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._reach = predictor.fusion.reach
        self._scored: list[ScoredSegment] = []
        self._n_predicted = 0  # of these

    def add(self, predictor: Predictor, segments: Iterable[Segment]) -> Iterator[SegmentPrediction]:
        """Score segments, and yield the predictions on which no later segment has an influence."""
        for group in grouped(segments):
            self._scored += score_segments(predictor.models, group)
            last = self._scored[-1].segment.end + TIME_ROUNDING
            n_ready = sum(item.segment.start + self._reach <= last for item in self._scored)
            yield from self._predict(n_ready)

    def finish(self) -> Iterator[SegmentPrediction]:
        """Yield the predictions of the last segments."""
        yield from self._predict(len(self._scored))

    def _predict(self, n_ready: int) -> Iterator[SegmentPrediction]:
        if n_ready <= self._n_predicted:
            return
        predictions = self._predictor.segments(self._scored)[self._n_predicted : n_ready]
        self._n_predicted = n_ready
        begin = self._scored[n_ready].segment.start if n_ready < len(self._scored) else self._scored[-1].segment.end
        n_past = sum(item.segment.start < begin - self._reach - TIME_ROUNDING for item in self._scored[:n_ready])
        self._scored = self._scored[n_past:]
        self._n_predicted -= n_past
        yield from (prediction for prediction in predictions if prediction is not None)


def _modalities_of(chunk: object) -> tuple[Modality, ...]:
    """Return the modalities of the first chunk."""
    names: dict[str, Modality] = {"frames": "video", "waveform": "audio"}
    if not isinstance(chunk, Mapping):
        raise wrong_argument("a chunk", chunk, "a dict with frames, a waveform, or both")
    found = tuple(modality for key, modality in names.items() if chunk.get(key) is not None)
    if not found:
        raise UsageError("the first chunk has neither frames nor a waveform; try: modalities=('audio', 'video')")
    return found


def _check_needs(predictor: Predictor, modalities: tuple[Modality, ...]) -> None:
    """Raise ModalityError if no model can score a stream of these modalities."""
    needs = {model.needs for model in predictor.models}
    if not any(set(("audio", "video") if need == "both" else (need,)) <= set(modalities) for need in needs):
        needed = " or ".join(sorted(MODALITY_NAMES[need] for need in needs))
        raise ModalityError(f"the stream has {' and '.join(modalities)} only; system {predictor.name} needs {needed}")
