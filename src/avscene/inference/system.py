"""Classify recordings with a system: files, arrays and streams in, predictions out."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from avscene.arguments import check_positive_integer, check_type
from avscene.errors import AvsceneError, UsageError
from avscene.evaluation.selective import SelectiveThresholds
from avscene.features.batch import SegmentBatch
from avscene.features.content import DEFAULT_CONTENT, ContentFilter, ContentSpec
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion
from avscene.inference.reading import BatchReader
from avscene.inference.recordings import outcomes_of, predict_recordings
from avscene.inference.scoring.batches import grouped, recording_info
from avscene.inference.scoring.prediction import Predictor
from avscene.inference.scoring.score import score_segments
from avscene.inference.sources import MediaInput, Source, check_several
from avscene.inference.streaming import check_stream, predict_stream
from avscene.labels import LabelSet
from avscene.media.hardware import check_decoder
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.media.sampling import CPU, Sampling, check_hop
from avscene.mismatch.detector import ARCHIVE_PRIOR, MismatchDetector
from avscene.models import SceneModel
from avscene.records import Failure, FloatArray, Modality, Prediction, Segment, SegmentPrediction

if TYPE_CHECKING:
    from avscene.media.arrays import Chunk


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        models = ", ".join(model.name for model in self.models)
        return f"System({self.name!r}: {len(self.labels)} scenes, models {models}, segments of {self.hop:g} s)"

    def classify(
        self,
        path: MediaInput,
        *,
        audio: MediaInput | None = None,
        hop: float | None = None,
        keyframes: bool = False,
        decoder: str = CPU,
        limits: Limits = DEFAULT_LIMITS,
        program: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Classify one recording.

        Args:
            path: a media file: its path; its URL (`s3://`, `gs://`, `az://`, `http://`, `https://`), as a string; its
                content as bytes; or a file that is open in binary mode, which is read from its position to its end.
                Contents are copied to a temporary file, up to `limits.download`, and decoded like other files.
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
            UsageError: an argument is of a wrong type, the system does not support this hop, or there is no such
                decoder.
        """
        report = None if progress is None else lambda _, end: progress(end)
        sources = [Source.of(path, audio, program)]
        (outcome,) = self.classify_all(
            sources, hop=hop, keyframes=keyframes, decoder=decoder, limits=limits, progress=report
        )
        if isinstance(outcome, AvsceneError):
            raise outcome
        return outcome

    def classify_many(
        self,
        recordings: Iterable[MediaInput | tuple[MediaInput, MediaInput]],
        *,
        hop: float | None = None,
        keyframes: bool = False,
        decoder: str = CPU,
        limits: Limits = DEFAULT_LIMITS,
        workers: int | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> Iterator[Prediction | Failure]:
        """Classify recordings; return an iterator of the outcome of each, in their order.

        Several are decoded at a time while others are scored, and their number is not limited: items of an iterator are
        taken (in a thread) shortly before they are decoded, and outcomes are not kept. One that fails gives a
        `Failure`, with `source` and `error`, and does not stop the others. An outcome does not depend on the others.

        Args:
            recordings: an iterable of what `classify` takes; a pair is a file with video and one with its audio.
            hop: as in `classify`, like `keyframes`, `decoder` and `limits`.
            keyframes: see `hop`.
            decoder: see `hop`.
            limits: see `hop`.
            workers: number of recordings that are decoded at a time; by default one for each processor, at most eight.
            progress: called with the position of a recording and the end of its last scored segment, in seconds.

        Raises:
            UsageError: an argument is of a wrong type, or as in `classify`; of an item, when its turn comes.
        """
        items = check_several(recordings)
        sources: Iterable[Source] = Source.each_of(items)
        if isinstance(items, Sequence):  # wrong items are errors at once, and few need few workers
            sources = list(sources)
        reader = self._reader(sources, hop, keyframes, decoder, limits, workers, None)
        return outcomes_of(predict_recordings(self.predictor, reader, progress))

    def classify_arrays(
        self,
        *,
        frames: Any = None,
        frame_times: Any = None,
        waveform: Any = None,
        sample_rate: int | None = None,
        duration: float | None = None,
        hop: float | None = None,
        name: str = "<arrays>",
    ) -> Prediction:
        """Classify one recording that is decoded already, given as NumPy arrays or torch tensors on any device.

        Frames and audio are scaled, mixed to mono and resampled like those of files, so that probabilities are within
        1e-3 of those of the file that they were decoded from.

        Args:
            frames: RGB images, upright and with square pixels: (n, height, width, 3) or (n, 3, height, width), or a
                list of images of any sizes; uint8 from 0 to 255, or floating-point from 0 to 1. Of each segment, only
                the frame that is shown in its middle is used.
            frame_times: (n,) seconds from the beginning of the recording at which each frame is first shown; they never
                decrease. A photograph, a single frame without audio, needs none.
            waveform: (n,) or (channels, n); floating-point with full scale at 1, int16 or int32. It begins at 0 s.
            sample_rate: samples of the waveform per second.
            duration: seconds of the recording; by default until the end of the waveform, and of the last frame, which
                is shown as long as the one before it.
            hop: as in `classify`.
            name: the `source` of the prediction.

        Raises:
            UsageError: an argument is of a wrong type, shape or range, or the system does not support this hop.
            ModalityError: the recording lacks the modalities that the system needs.
        """
        check_type("name", name, str, "a str")
        from avscene.media.arrays import ArrayRecording  # it loads the decoder, for its conversion of colors

        recording = ArrayRecording(frames, frame_times, waveform, sample_rate, duration)
        sampling = self.sampling(hop)
        content = ContentFilter(self.content)
        groups = grouped(content.apply(recording.segments(sampling)))
        scored = [item for group in groups for item in score_segments(self.models, group)]
        return self.predictor.recording(name, recording_info(recording, content, sampling), scored)

    def classify_stream(
        self,
        chunks: "Iterable[Chunk]",
        *,
        hop: float | None = None,
        modalities: Sequence[Modality] | None = None,
        max_lag: float = 5.0,
    ) -> Iterator[SegmentPrediction]:
        """Classify a stream of decoded frames and audio; return an iterator of its segments, each once it is complete.

        A chunk is a dict with `frames` and `frame_times`, `waveform` and `sample_rate`, or all four, as in
        `classify_arrays`; its times count from the beginning of the stream and never decrease. A waveform begins where
        the one before it ended, or at `waveform_time` seconds. Chunks may be of any length and need not end with
        segments. A segment is complete when both modalities reach its end (a system that smooths over time waits for a
        neighbour too); incomplete ones follow after the last chunk. Segments that no model scores are left out.

        Memory does not grow with the length of the stream. The probabilities are those that the recording as a whole
        would get; whether audio and video belong together is decided for each segment by itself.

        Args:
            chunks: an iterable of chunks; one is taken when its segments are asked for.
            hop: as in `classify`.
            modalities: what the stream has, such as `("audio", "video")`; by default what its first chunk has.
            max_lag: seconds by which one modality may be behind the other; where it is further behind, segments are
                predicted without it.

        Raises:
            UsageError: an argument is of a wrong type, or a chunk is, when its turn comes.
            ModalityError: the stream has no modality that the system needs.
        """
        check_stream(chunks, modalities, max_lag)
        sampling = self.sampling(hop)
        return predict_stream(self.predictor, self.content, sampling, chunks, modalities, max_lag)

    def classify_all(
        self,
        sources: Iterable[Source],
        *,
        hop: float | None = None,
        keyframes: bool = False,
        decoder: str = CPU,
        limits: Limits = DEFAULT_LIMITS,
        workers: int | None = None,
        stop: threading.Event | None = None,
        progress: Callable[[int, float], None] | None = None,
    ) -> Generator[Prediction | AvsceneError, None, None]:
        """Classify recordings as `classify_many` does; yield the prediction of each, or the error that prevented it.

        Worker processes decode the recordings; one that crashes or hangs costs its recording alone. `stop` can be set
        in another thread: no further recording is begun then, so that the outcomes end with those already begun.

        Raises:
            UsageError: a source is none, the system does not support this hop, or there is no such decoder.
            WeightsError: no worker process can be started.
        """
        reader = self._reader(sources, hop, keyframes, decoder, limits, workers, stop)
        with closing(predict_recordings(self.predictor, reader, progress)) as outcomes:
            for _, outcome in outcomes:
                yield outcome

    def _reader(
        self,
        sources: Iterable[Source],
        hop: float | None,
        keyframes: bool,
        decoder: str,
        limits: Limits,
        workers: int | None,
        stop: threading.Event | None,
    ) -> BatchReader:
        check_decoder(decoder)
        check_type("limits", limits, Limits, "avscene.media.limits.Limits")
        if workers is not None:
            check_positive_integer("workers", workers)
        sampling = self.sampling(hop, keyframes=keyframes)
        return BatchReader(sources, sampling, decoder, content=self.content, limits=limits, workers=workers, stop=stop)

    def score_by_model(self, segments: Sequence[Segment]) -> FloatArray:
        """Return the probabilities (n_models, n_segments, n_scenes) by each model; NaN where it did not score."""
        batch = SegmentBatch.of(segments)
        return np.stack([model.score(batch).probabilities for model in self.models])

    def sampling(self, hop: float | None = None, *, keyframes: bool = False) -> Sampling:
        """Return the sampling of a recording that serves all models; without `hop`, with that of the system.

        Raises:
            UsageError: the hop is not between MIN_HOP and MAX_HOP, or not the one for which the thresholds were chosen.
        """
        hop = self.hop if hop is None else hop
        check_hop(hop)
        if self.acceptance is not None and hop != self.hop:
            raise UsageError(f"hop {hop:g}: the risk of {self.name} was measured on segments of {self.hop:g} s only")
        rates = sorted({model.sample_rate for model in self.models if model.sample_rate is not None})
        if len(rates) > 1:
            text = ", ".join(map(str, rates))
            raise UsageError(f"system {self.name}: its models need audio at different sample rates: {text} Hz")
        sizes = [model.frame_size for model in self.models if model.frame_size is not None]
        frame_size = (self.frame_size or max(sizes)) if sizes else None
        return Sampling(hop, rates[0] if rates else None, frame_size, keyframes_only=keyframes)

    def fuse(self, by_model: FloatArray, times: Times | None = None) -> FloatArray:
        """Fuse probabilities (n_models, n, n_scenes), in the order of the models, to (n, n_scenes)."""
        return self.predictor.fuse(by_model, times)

    @property
    def predictor(self) -> Predictor:
        """Makes predictions of the probabilities of the models."""
        fields = (self.name, self.labels, self.models, self.fusion, self.mismatch, self.prior, self.acceptance)
        return Predictor(*fields, self.audio_rate)
