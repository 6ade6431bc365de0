"""Path in, prediction out: the whole flow on one screen.

media -> segments -> (features inside) models -> scores -> fusion -> prediction
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avscene.errors import AvsceneError, ModalityError, UsageError
from avscene.evaluation.selective import SelectiveThresholds
from avscene.features.batch import SegmentBatch
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion
from avscene.inference.reading import RecordingInfo, SegmentReader, Source, ahead
from avscene.labels import LabelSet
from avscene.media.hardware import CPU, check_decoder
from avscene.media.segments import Sampling
from avscene.mismatch.detector import MismatchDetector, by_modality
from avscene.models import SceneModel
from avscene.records import MODALITY_NAMES, FloatArray, Mismatch, Modality, Prediction, Segment, SegmentPrediction

LEAST_HOP = 0.02  # seconds: below the length of a frame, where one segment looks like the next


@dataclass(frozen=True)
class System:
    """One or more models, the fusion of what they say by their names, and the scenes they answer in.

    `mismatch` tells whether sound and picture belong together, `acceptance` which answers are sure enough, where there
    is such a thing.
    """

    name: str
    labels: LabelSet
    models: tuple[SceneModel, ...]
    fusion: Fusion
    hop: float = 1.0
    mismatch: MismatchDetector | None = None
    acceptance: SelectiveThresholds | None = None

    def __post_init__(self) -> None:
        names = sorted(model.name for model in self.models)
        if names != sorted(self.fusion.models):
            raise ValueError(f"a fusion of {', '.join(self.fusion.models)} does not fit models {', '.join(names)}")

    def classify(
        self,
        path: str | Path,
        *,
        audio: str | Path | None = None,
        hop: float | None = None,
        keyframes: bool = False,
        decoder: str = CPU,
        progress: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Classify one recording.

        Args:
            path: a media file.
            audio: a separate file that holds its audio, if there is one.
            hop: length of a segment in seconds; by default that which the system was made for.
            keyframes: look at key frames only, which decodes many times faster and sees older frames.
            decoder: decodes pictures, where it can: cpu, or a device that PyAV was built for, such as cuda.
            progress: called with the end of the last scored segment, in seconds.

        Raises:
            MediaError: the file cannot be decoded.
            ModalityError: it has nothing that the system can score.
            UsageError: the system cannot work with such segments, or there is no such decoder.
        """
        told = None if progress is None else lambda _, end: progress(end)
        (outcome,) = self.classify_all(
            [Source(path, audio)], hop=hop, keyframes=keyframes, decoder=decoder, progress=told
        )
        if isinstance(outcome, AvsceneError):
            raise outcome
        return outcome

    def classify_all(
        self,
        sources: Sequence[Source],
        *,
        hop: float | None = None,
        keyframes: bool = False,
        decoder: str = CPU,
        progress: Callable[[int, float], None] | None = None,
    ) -> Generator[Prediction | AvsceneError, None, None]:
        """Classify recordings: an outcome for each, in their order, the prediction or why there is none.

        Segments are scored together across recordings, so that the outcome of one comes with the first segments of the
        next. `progress` is called with the position of a source and the end of its last scored segment, in seconds;
        the rest is as for `classify`.

        Raises:
            UsageError: the system cannot work with such segments, or there is no such decoder.
        """
        check_decoder(decoder)
        reader = SegmentReader(sources, self.sampling(self.hop if hop is None else hop, keyframes=keyframes), decoder)
        scored: list[tuple[Segment, FloatArray]] = []  # of the recording whose end has not come yet
        with closing(ahead(reader, reader.stop)) as batches:
            for pieces in batches:
                segments = [piece for _, piece in pieces if isinstance(piece, Segment)]
                scores = iter(self.scores(segments).swapaxes(0, 1) if segments else ())
                for position, piece in pieces:
                    if isinstance(piece, Segment):
                        scored.append((replace(piece, frames=(), waveform=None), next(scores)))  # lets go of the media
                    else:
                        yield self._outcome(str(sources[position].path), piece, scored)
                        scored = []
                if progress is not None:
                    reached = {position: piece.end for position, piece in pieces if isinstance(piece, Segment)}
                    for position, end in reached.items():
                        progress(position, end)

    def scores(self, segments: Sequence[Segment]) -> FloatArray:
        """What each model says (n_models, n_segments, n_scenes), NaN where it has no say."""
        batch = SegmentBatch.of(segments)
        return np.stack([model.score(batch).probabilities for model in self.models])

    def sampling(self, hop: float, *, keyframes: bool = False) -> Sampling:
        """What the models together ask of a recording.

        Raises:
            UsageError: the hop is not a number of seconds from LEAST_HOP on, or not the one whose risk is known.
        """
        check_hop(hop)
        if self.acceptance is not None and hop != self.hop:
            raise UsageError(f"hop {hop:g}: the risk of system {self.name} is known of segments of {self.hop:g} s only")
        rates = {model.sample_rate for model in self.models} - {None}
        if len(rates) > 1:
            raise UsageError(f"system {self.name}: its models want sound at different rates: {sorted(map(str, rates))}")
        sizes = [model.frame_size for model in self.models if model.frame_size is not None]
        return Sampling(
            hop=hop,
            sample_rate=next(iter(rates), None),
            frame_size=max(sizes, default=None),
            keyframes_only=keyframes,
        )

    def fuse(self, scores: FloatArray, times: Times | None = None) -> FloatArray:
        """One score (n, n_scenes) of those of the models (n_models, n, n_scenes), in their order."""
        by_name = {model.name: values for model, values in zip(self.models, scores, strict=True)}
        return self.fusion.apply(by_name, self.labels, times)

    def _outcome(
        self, source: str, end: RecordingInfo | AvsceneError, scored: list[tuple[Segment, FloatArray]]
    ) -> Prediction | AvsceneError:
        if isinstance(end, AvsceneError):
            return end
        try:
            return self._prediction(source, end, scored)
        except AvsceneError as error:
            return error

    def _prediction(self, source: str, facts: RecordingInfo, scored: list[tuple[Segment, FloatArray]]) -> Prediction:
        by_model = np.stack([scores for _, scores in scored], axis=1)
        starts = np.array([segment.start for segment, _ in scored])
        fused = self.fuse(by_model, Times([source] * len(scored), starts))
        known = ~np.isnan(fused[:, 0])
        if not known.any():
            raise ModalityError(self._refusal(source, facts.modalities))
        mismatches, mismatch = self._mismatches(by_model)
        least = self.acceptance or SelectiveThresholds(0, 0)
        segments = tuple(
            SegmentPrediction(
                segment.start,
                segment.end,
                fused[row],
                self._spoken(by_model[:, row]),
                mismatches[row],
                bool(fused[row].max() >= least.segment),
            )
            for row, (segment, _) in enumerate(scored)
            if known[row]
        )
        warnings = (*facts.warnings, *self._missing(by_model, known))
        overall = fused[known].mean(axis=0)
        return Prediction(
            *(source, facts.duration, self.name, self.labels, facts.modalities, overall, segments, warnings),
            mismatch=mismatch,
            accepted=bool(overall.max() >= least.recording),
        )

    def _spoken(self, scores: FloatArray) -> dict[str, FloatArray]:
        """What those models said of a segment that could score it."""
        named = zip(self.models, scores, strict=True)
        return {model.name: values for model, values in named if not np.isnan(values[0])}

    def _mismatches(self, by_model: FloatArray) -> tuple[tuple[Mismatch | None, ...], Mismatch | None]:
        """Of each segment and of the recording, whether sound and picture belong together."""
        scores = {model.name: values for model, values in zip(self.models, by_model, strict=True)}
        heard, seen = by_modality(scores, {model.name: model.needs for model in self.models})
        if self.mismatch is None or heard is None or seen is None:
            return (None,) * by_model.shape[1], None
        return self.mismatch.judge(heard, seen)

    def _refusal(self, source: str, modalities: dict[Modality, bool]) -> str:
        needed = " or ".join(sorted({MODALITY_NAMES[model.needs] for model in self.models}))
        has = " and ".join(modality for modality, present in modalities.items() if present) or "neither"
        return f"{source}: has {has} only; system {self.name} needs {needed}"

    def _missing(self, by_model: FloatArray, known: np.ndarray) -> Iterator[str]:
        """What a reader of the prediction should know of models and segments that are missing in it."""
        for model, scores in zip(self.models, by_model, strict=True):
            silent = np.isnan(scores[:, 0]) & known
            lack = "no audio or no video" if model.needs == "both" else f"no {MODALITY_NAMES[model.needs]}"
            if silent.all():
                yield f"{lack}: model {model.name} has no say"
            elif silent.any():
                share = f"{silent.sum()} of {len(silent)} segments"
                yield f"{lack} in {share}: model {model.name} has no say there"
        if not known.all():
            yield f"{(~known).sum()} of {len(known)} segments lack what the system needs and are left out"


def check_hop(hop: float) -> None:
    """Make sure that segments can be `hop` seconds long.

    Raises:
        UsageError: they cannot.
    """
    if not LEAST_HOP <= hop < float("inf"):
        raise UsageError(f"hop {hop:g} is not a number of seconds of {LEAST_HOP} or more")
