"""Path in, prediction out: the whole flow on one screen.

media -> segments -> (features inside) models -> scores -> fusion -> prediction
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from avscene.errors import CheckpointError, ModalityError, UsageError
from avscene.evaluation.rejection import Acceptance
from avscene.fusion.mismatch import MismatchDetector, by_modality
from avscene.fusion.steps import Times
from avscene.fusion.tree import Fusion
from avscene.labels import LabelSet
from avscene.media.segments import Recording, Sampling
from avscene.models import SceneModel, registry, zero_shot
from avscene.models.checkpoint import is_checkpoint, load_checkpoint
from avscene.models.device import Runtime
from avscene.models.validation import validation_table
from avscene.records import KIND, FloatArray, Mismatch, Modality, Prediction, Segment, SegmentPrediction

Item = TypeVar("Item")
LEAST_HOP = 0.02  # seconds: below the length of a frame, where one segment looks like the next
BATCH = 16  # segments scored at a time: enough to keep the networks busy, little enough to keep memory flat


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
    acceptance: Acceptance | None = None

    def __post_init__(self) -> None:
        names = sorted(model.name for model in self.models)
        if names != sorted(self.fusion.models):
            raise ValueError(f"a fusion of {', '.join(self.fusion.models)} does not fit models {', '.join(names)}")

    def classify(
        self,
        path: str | Path,
        *,
        sound: str | Path | None = None,
        hop: float | None = None,
        keyframes: bool = False,
        progress: Callable[[float], None] | None = None,
    ) -> Prediction:
        """Classify one recording.

        Args:
            path: a media file.
            sound: a separate file that holds its sound, if there is one.
            hop: length of a segment in seconds; by default that which the system was made for.
            keyframes: look at key frames only, which decodes many times faster and sees older frames.
            progress: called with the end of the last scored segment, in seconds.

        Raises:
            MediaError: the file cannot be decoded.
            ModalityError: it has nothing that the system can score.
        """
        scored: list[tuple[Segment, FloatArray]] = []
        with Recording(path, sound) as recording:
            for segments, scores in self.scores(recording, hop=hop, keyframes=keyframes):
                spans = [Segment(s.start, s.end, (), None, s.padded) for s in segments]  # lets go of the media
                scored.extend(zip(spans, scores.swapaxes(0, 1), strict=True))
                if progress is not None:
                    progress(segments[-1].end)
            return self._prediction(str(path), recording, scored)

    def scores(
        self, recording: Recording, *, hop: float | None = None, keyframes: bool = False
    ) -> Iterator[tuple[Sequence[Segment], FloatArray]]:
        """Batches of segments with their scores (n_models, n_segments, n_scenes), decoded ahead of the networks."""
        segments = recording.segments(self.sampling(self.hop if hop is None else hop, keyframes=keyframes))
        for batch in ahead(batched(segments, BATCH)):
            yield batch, np.stack([model.score(batch).probabilities for model in self.models])

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

    def _prediction(self, source: str, recording: Recording, scored: list[tuple[Segment, FloatArray]]) -> Prediction:
        modalities: dict[Modality, bool] = {"audio": recording.has_audio, "video": recording.has_video}
        by_model = np.stack([scores for _, scores in scored], axis=1)
        starts = np.array([segment.start for segment, _ in scored])
        fused = self.fuse(by_model, Times([source] * len(scored), starts))
        known = ~np.isnan(fused[:, 0])
        if not known.any():
            raise ModalityError(self._refusal(source, modalities))
        mismatches, mismatch = self._mismatches(by_model)
        least = self.acceptance or Acceptance(0, 0)
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
        warnings = (*recording.warnings, *self._missing(by_model, known))
        overall = fused[known].mean(axis=0)
        return Prediction(
            *(source, recording.duration, self.name, self.labels, modalities, overall, segments, warnings),
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
        needed = " or ".join(sorted({KIND[model.needs] for model in self.models}))
        has = " and ".join(KIND[modality] for modality, present in modalities.items() if present) or "neither"
        return f"{source}: has {has} only; system {self.name} needs a {needed}".replace("a sound", "sound")

    def _missing(self, by_model: FloatArray, known: np.ndarray) -> Iterator[str]:
        """What a reader of the prediction should know of models and segments that are missing in it."""
        for model, scores in zip(self.models, by_model, strict=True):
            silent = np.isnan(scores[:, 0]) & known
            lack = "no sound or no picture" if model.needs == "both" else f"no {KIND[model.needs]}"
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


def load(
    system: str | Path,
    *,
    labels: str | Iterable[str] | LabelSet | None = None,
    prompts: Sequence[str] = (),
    max_risk: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool = False,
) -> System:
    """The system of that name or checkpoint directory, ready to classify.

    Args:
        system: a name from `avscene systems`, or the directory of a checkpoint.
        labels: scene names for a zero-shot system (default: the ten TAU scenes), also as "a,b,c"; a checkpoint has its
            own.
        prompts: templates with one `{}` for CLIP systems, or the sets `raw` (the default) and `templates`.
        max_risk: of a checkpoint: no scene is named unless it is sure enough that the share of wrong ones among those
            named, of segments and of recordings, is this at most (`Acceptance`).
        device: auto, cpu or cuda.
        precision: auto, float32 or bfloat16.
        offline: use only weights that are on this machine.

    Raises:
        UsageError: an unknown name, labels or prompts that do not fit, a risk that cannot be kept.
        CheckpointError: the checkpoint is damaged or has other labels.
        WeightsError: weights are absent.
    """
    runtime = Runtime.choose(device, precision, offline=offline)
    wanted = _label_set(labels)
    if is_checkpoint(system):
        loaded = _load_checkpoint(Path(system), wanted, prompts, runtime)
        if max_risk is None:
            return loaded
        return replace(loaded, acceptance=Acceptance.of(validation_table(Path(system)), max_risk))
    if str(system) not in registry.systems() and os.path.isdir(system):  # noqa: PTH112  # unlike Path, never raises
        raise CheckpointError(f"{system}: is a directory but no checkpoint (no config.json and model.safetensors)")
    if max_risk is not None:
        raise UsageError(f"system {system}: was not trained, so nothing tells its risk; --max-risk is for checkpoints")
    model = zero_shot.build(str(system), wanted, tuple(prompts), runtime)
    return System(model.name, model.labels, (model,), Fusion.of(model.name))


def _label_set(labels: str | Iterable[str] | LabelSet | None) -> LabelSet | None:
    if labels is None or isinstance(labels, LabelSet):
        return labels
    return LabelSet.parse(labels) if isinstance(labels, str) else LabelSet(tuple(labels))


def _load_checkpoint(directory: Path, labels: LabelSet | None, prompts: Sequence[str], runtime: Runtime) -> System:
    loaded = load_checkpoint(directory, runtime)
    if labels is not None and labels != loaded.labels:
        raise CheckpointError(
            f"{directory}: answers in its own labels ({', '.join(loaded.labels)}); leave --labels out"
        )
    if prompts:
        raise UsageError(f"{directory}: a trained system takes no prompts; they are for CLIP systems")
    config = loaded.config
    return System(config.name, loaded.labels, loaded.models, loaded.fusion, config.hop, config.mismatch)


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """The items in tuples of `size`, the last one perhaps shorter (itertools.batched, of Python 3.12)."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
        yield batch


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before it is in use."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # `end` never gets here
