"""Classify recordings with a system: decode, score segments with each model, fuse, and build predictions."""

import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from avscene.errors import AvsceneError, ModalityError, UsageError
from avscene.evaluation.selective import SelectiveThresholds
from avscene.features.batch import SegmentBatch
from avscene.features.content import DEFAULT_CONTENT, ContentSpec
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion
from avscene.inference.familiarity import model_shares, recording_familiarity, segment_familiarity, unfamiliar_rows
from avscene.inference.missing import modality_error, skipped_warnings
from avscene.inference.narrow_band import narrow_band_warnings
from avscene.inference.reading import Batch, BatchReader, RecordingInfo, Source
from avscene.inference.scored import ScoredBatch, ScoredRecording, ScoredSegment
from avscene.labels import LabelSet
from avscene.media.hardware import check_decoder
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.sampling import CPU, Sampling, check_hop
from avscene.mismatch.detector import ARCHIVE_PRIOR, MismatchDetector, mean_by_modality
from avscene.models import SceneModel
from avscene.records import FloatArray, Prediction, Segment, SegmentPrediction
from avscene.storage.urls import shown
from avscene.verdicts import Familiarity, Mismatch, RecordingMismatch

# Batches that are scored at a time: while one is prepared or fills only some of the processors, another uses the rest.
SCORING_THREADS = 2


@dataclass(frozen=True)
class System:
    """One or more models on the same scenes, and the fusion of their probabilities.

    `hop` is the default length of a segment in seconds. `mismatch`, if given, detects whether audio and video belong
    together, for recordings that are a mismatch with probability `prior`; `acceptance`, if given, rejects predictions
    whose probability is too low. `content` are the thresholds of audio and frames that are scored; `audio_rate` is the
    sample rate in Hz of the audio in training, if known. `fingerprint` identifies all that decides the probabilities.
    `frame_size` is the shorter side in pixels of the frames that the models are given, None the largest that one of
    them takes. `precision` is that of each network.
    """

    name: str
    labels: LabelSet
    models: tuple[SceneModel, ...]
    fusion: Fusion
    hop: float = 1.0
    mismatch: MismatchDetector | None = None
    prior: float = ARCHIVE_PRIOR
    acceptance: SelectiveThresholds | None = None
    content: ContentSpec = DEFAULT_CONTENT
    audio_rate: int | None = None
    frame_size: int | None = None
    fingerprint: str = ""
    precision: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = sorted(model.name for model in self.models)
        if names != sorted(self.fusion.models):
            raise ValueError(f"fusion of {', '.join(self.fusion.models)} does not fit models {', '.join(names)}")

    def classify(
        self,
        path: str | Path,
        *,
        audio: str | Path | None = None,
        hop: float | None = None,
        keyframes: bool = False,
        decoder: str = CPU,
        limits: Limits = DEFAULT_LIMITS,
        program: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Classify one recording.

        Args:
            path: a media file, or the URL of one (`s3://`, `gs://`, `az://`, `http://`, `https://`), as a string.
            audio: a separate file with the audio of the recording.
            hop: length of a segment in seconds; by default that of the system.
            keyframes: decode key frames only, which is many times faster; segments then get older frames.
            decoder: decodes the video, where it can: cpu, or a device that PyAV was built for, such as cuda.
            limits: what the recording may need at most.
            program: number of the programme to read of a transport stream; by default that of its best video.
            progress: called with the end of the last scored segment, in seconds.

        Raises:
            MediaError: the file cannot be decoded, exceeds a limit, or has no such programme.
            ModalityError: it lacks the modalities that the system needs.
            UsageError: the system does not support this hop, or there is no such decoder.
        """
        report = None if progress is None else lambda _, end: progress(end)
        source = Source(path, audio, program)
        (outcome,) = self.classify_all(
            [source], hop=hop, keyframes=keyframes, decoder=decoder, limits=limits, progress=report
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
        limits: Limits = DEFAULT_LIMITS,
        workers: int | None = None,
        stop: threading.Event | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> Generator[Prediction | AvsceneError, None, None]:
        """Classify recordings; yield the prediction of each, in order, or the error that prevented it.

        Worker processes decode several recordings at a time; one that crashes or hangs costs its recording alone. The
        outcome of a recording does not depend on the others.

        Args:
            sources: the recordings.
            hop: as in `classify`, like `keyframes`, `decoder` and `limits`.
            keyframes: see `hop`.
            decoder: see `hop`.
            limits: see `hop`.
            workers: number of recordings that are decoded at a time; by default one for each processor, at most eight.
            stop: no further recording is begun once it is set, so that the outcomes end with those already begun.
            progress: called with the position of a source and the end of its last scored segment, in seconds.

        Raises:
            UsageError: the system does not support this hop, or there is no such decoder.
            WeightsError: no worker process can be started.
        """
        check_decoder(decoder)
        sampling = self.sampling(self.hop if hop is None else hop, keyframes=keyframes)
        reader = BatchReader(
            sources, sampling, decoder, content=self.content, limits=limits, workers=workers, stop=stop
        )
        n_threads = torch.get_num_threads()  # in this thread; in others torch has other settings

        def score(batch: Batch) -> ScoredBatch:
            torch.set_num_threads(n_threads)
            return self._scored(batch)

        recordings: dict[int, ScoredRecording] = defaultdict(ScoredRecording)  # unfinished ones, by position
        outcomes: dict[int, Prediction | AvsceneError] = {}  # that wait for an earlier one
        n_yielded = 0
        with closing(reader.map(score, SCORING_THREADS)) as scored:
            for batch in scored:
                position, recording = batch.position, recordings[batch.position]
                recording.add(batch)
                if progress is not None and batch.segments:
                    progress(position, recording.reached)
                if recording.end is None or not recording.is_complete:
                    continue
                del recordings[position]
                outcomes[position] = self._outcome(sources[position], recording.end, recording.segments())
                while n_yielded in outcomes:
                    yield outcomes.pop(n_yielded)
                    n_yielded += 1

    def _scored(self, batch: Batch) -> ScoredBatch:
        """Score the segments of a batch and drop their frames and audio, which take memory."""
        position, number, segments, end = batch
        if not segments:
            return ScoredBatch(position, number, [], end)
        media = SegmentBatch.of(segments)
        by_model = [model.score(media) for model in self.models]
        scored = [
            ScoredSegment(
                replace(segment, frames=(), waveform=None),
                np.stack([scores.probabilities[row] for scores in by_model]),
                model_shares(by_model, row),
            )
            for row, segment in enumerate(segments)
        ]
        return ScoredBatch(position, number, scored, end)

    def score_by_model(self, segments: Sequence[Segment]) -> FloatArray:
        """Return the probabilities (n_models, n_segments, n_scenes) by each model; NaN where it did not score."""
        batch = SegmentBatch.of(segments)
        return np.stack([model.score(batch).probabilities for model in self.models])

    def sampling(self, hop: float, *, keyframes: bool = False) -> Sampling:
        """Return the sampling of a recording that serves all models.

        Raises:
            UsageError: the hop is not between MIN_HOP and MAX_HOP, or not the one for which the thresholds were chosen.
        """
        check_hop(hop)
        if self.acceptance is not None and hop != self.hop:
            raise UsageError(f"hop {hop:g}: the risk of {self.name} was measured on segments of {self.hop:g} s only")
        rates = {model.sample_rate for model in self.models} - {None}
        if len(rates) > 1:
            rates_text = ", ".join(sorted(map(str, rates)))
            raise UsageError(f"system {self.name}: its models need audio at different sample rates: {rates_text} Hz")
        sizes = [model.frame_size for model in self.models if model.frame_size is not None]
        return Sampling(
            hop=hop,
            sample_rate=next(iter(rates), None),
            frame_size=(self.frame_size or max(sizes)) if sizes else None,
            keyframes_only=keyframes,
        )

    def fuse(self, by_model: FloatArray, times: Times | None = None) -> FloatArray:
        """Fuse probabilities (n_models, n, n_scenes), in the order of the models, to (n, n_scenes)."""
        by_name = {model.name: values for model, values in zip(self.models, by_model, strict=True)}
        return self.fusion.apply(by_name, self.labels, times)

    def _outcome(
        self, source: Source, end: RecordingInfo | AvsceneError, scored: list[ScoredSegment]
    ) -> Prediction | AvsceneError:
        if isinstance(end, AvsceneError):
            return end
        try:
            return self._prediction(shown(source.path), end, scored)
        except AvsceneError as error:
            return error

    def _prediction(self, source: str, info: RecordingInfo, scored: list[ScoredSegment]) -> Prediction:
        by_model = np.stack([item.probabilities for item in scored], axis=1)
        times = np.array([(item.segment.start, item.segment.end) for item in scored])
        fused = self.fuse(by_model, Times([source] * len(scored), times[:, 0]))
        is_scored = ~np.isnan(fused[:, 0])
        if not is_scored.any():
            needs = [model.needs for model in self.models]
            raise ModalityError(modality_error(source, self.name, needs, info.modalities, info.missing))
        familiarity = segment_familiarity(self.models, scored)
        not_judged = unfamiliar_rows(familiarity, is_scored)
        mismatches, mismatch = self._mismatches(np.where(not_judged[:, None], np.nan, by_model), times)
        segments = tuple(
            SegmentPrediction(
                float(times[row, 0]),
                float(times[row, 1]),
                fused[row],
                self._scored_by_model(by_model[:, row]),
                mismatches[row],
                self._accepts(fused[row], "segment", familiarity[row]),
                familiarity[row],
            )
            for row in np.flatnonzero(is_scored).tolist()
        )
        overall, overall_familiarity = fused[is_scored].mean(axis=0), recording_familiarity(segments)
        return Prediction(
            source=source,
            duration=info.duration,
            system=self.name,
            labels=self.labels,
            modalities=info.modalities,
            probabilities=overall,
            segments=segments,
            warnings=(
                *info.warnings,
                *narrow_band_warnings(self._used_rate, info.audio_source if info.modalities["audio"] else None),
                *skipped_warnings(self.models, by_model, is_scored, info.missing),
            ),
            mismatch=mismatch,
            accepted=self._accepts(overall, "recording", overall_familiarity),
            familiarity=overall_familiarity,
        )

    @property
    def _used_rate(self) -> int:
        """Sample rate in Hz of the audio that was used in training; 0 if none was, or if it is not known."""
        rates = [model.sample_rate for model in self.models if model.sample_rate is not None]
        return min(max(rates, default=0), self.audio_rate or 0)

    def _accepts(self, fused: FloatArray, level: Literal["segment", "recording"], found: Familiarity | None) -> bool:
        """Return whether a scene is named: always, unless the risk is bounded."""
        familiar = found is None or found.familiar
        return self.acceptance is None or bool(familiar and fused.max() >= getattr(self.acceptance, level))

    def _scored_by_model(self, by_model: FloatArray) -> dict[str, FloatArray]:
        """Probabilities of one segment by the names of the models that scored it."""
        named = zip(self.models, by_model, strict=True)
        return {model.name: values for model, values in named if not np.isnan(values[0])}

    def _mismatches(
        self, by_model: FloatArray, times: FloatArray
    ) -> tuple[tuple[Mismatch | None, ...], RecordingMismatch | None]:
        """Mismatch of audio and video in each segment and in the recording; None where it was not scored."""
        scores = {model.name: values for model, values in zip(self.models, by_model, strict=True)}
        audio, video = mean_by_modality(scores, {model.name: model.needs for model in self.models})
        if self.mismatch is None or audio is None or video is None:
            return (None,) * by_model.shape[1], None
        return self.mismatch.detect(audio, video, times, self.prior)
