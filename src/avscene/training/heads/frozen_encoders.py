"""Train linear heads on frozen encoders, cross-fitted by group, from the recordings of a data set."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from avscene.datasets.dataset import DataSet
from avscene.errors import DataError
from avscene.familiarity.combination import combine_shares
from avscene.familiarity.fitting import FittedFamiliarity, fit_familiarity
from avscene.features.logmel import LogMelSpec
from avscene.fusion.tree import FUSED, Fusion, Layout, fit_fusion
from avscene.labels import LabelSet
from avscene.media.sampling import FRAME_SIZE, Sampling
from avscene.mismatch.detector import MismatchDetector
from avscene.mismatch.system_detector import fit_system_detector
from avscene.models import SegmentEncoder
from avscene.models.checkpoint import Part
from avscene.models.device import Runtime
from avscene.models.efficientnet_lite import FRAME_SPECS
from avscene.models.familiarity_tensors import familiarity_tensors
from avscene.models.linear_heads import (
    AudioEncoder,
    AudioHeadPart,
    VideoEncoder,
    VideoHeadPart,
)
from avscene.models.registry import AudioHead, HeadsSystem, VideoHead
from avscene.progress import Progress
from avscene.records import FloatArray, IntArray, Needs
from avscene.tables.score_table import ScoreTable
from avscene.training.embed import Embeddings, embed_dataset
from avscene.training.heads.augmented_audio import AugmentedAudioEncoder
from avscene.training.heads.linear_heads import fit_head

logger = logging.getLogger(__name__)

_AUGMENTED = "augmented "  # in names of embeddings


@dataclass(frozen=True, slots=True, eq=False)
class TrainedHeads:
    """Heads as a checkpoint holds them, and the fusion and mismatch detector that were fitted on their predictions.

    `tensors` and `fitted` (ridge and temperature) have an entry for each of `parts`, by its name. `out_of_fold` has a
    table of each model and of the fusion (`fused`): every row by heads that were trained without its group. `counts`
    says what the heads were trained on; `failures` names the recordings that cannot be read. `audio_rate` is as in
    `Embeddings`, `precision` that of the encoders.
    """

    parts: tuple[Part, ...]
    tensors: Mapping[str, Mapping[str, Tensor]]
    fusion: Fusion
    mismatch: MismatchDetector | None
    out_of_fold: Mapping[str, ScoreTable]
    fitted: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, int]
    failures: tuple[str, ...]
    audio_rate: int | None
    precision: str


def train_heads(
    row: HeadsSystem, data: DataSet, hop: float, runtime: Runtime, progress: Progress | None = None
) -> TrainedHeads:
    """Train the heads of a system on all recordings of `data`, cut into segments of `hop` seconds.

    Every recording is decoded and embedded once, in memory. Heads are cross-fitted by group; their out-of-fold
    probabilities fit the temperatures and the fusion. A head whose modality is missing in too many recordings is left
    out with a message.

    Raises:
        DataError: no scene has enough readable groups.
        MediaError: no recording can be read.
    """
    labels, needs = data.labels, {name: head.input for name, head in row.heads.items()}
    encoders = {name: encoder_of(head, runtime) for name, head in row.heads.items()}
    augmented = {
        name: AugmentedAudioEncoder(audio) for name, audio in encoders.items() if isinstance(audio, AudioEncoder)
    }
    every = encoders | {_AUGMENTED + name: encoder for name, encoder in augmented.items()}
    embedded = embed_dataset(data, every, sampling_of(hop, encoders), progress)
    by_encoder = embedded.by_encoder
    trainable = _trainable(data, embedded, needs, labels)
    truth = embedded.truth(labels.names)
    heads = {
        name: fit_head(values, truth, embedded.groups, len(labels), by_encoder.get(_AUGMENTED + name))
        for name, values in trainable.items()
    }
    familiarity = _fit_familiarity(trainable, truth, embedded.groups, len(labels))
    predictions = {name: fitted.out_of_fold for name, fitted in heads.items()}
    shares = _shares(familiarity, needs)
    layout = Layout(name=row.name, members=tuple(heads), rule=row.rule, needs=dict(needs))
    fusion = fit_fusion(layout, predictions, truth, labels, groups=embedded.groups)
    recordings = [example.name for example in embedded.examples]
    return TrainedHeads(
        parts=tuple(_part(name, row.heads[name]) for name in heads),
        tensors={
            name: head.head.tensors() | (familiarity_tensors(familiarity[name].detector) if name in familiarity else {})
            for name, head in heads.items()
        },
        fusion=fusion,
        mismatch=fit_system_detector(
            labels,
            predictions,
            needs,
            recordings=recordings,
            groups=embedded.groups,
            starts=embedded.starts,
            truth=truth,
        ),
        out_of_fold={
            name: _table(embedded, labels, values, needs.get(name, "both"), shares.get(name))
            for name, values in {**predictions, FUSED: fusion.apply(predictions, labels)}.items()
        },
        fitted={name: {"ridge": head.ridge, "temperature": head.temperature} for name, head in heads.items()},
        counts={
            "recordings": len(set(recordings)),
            "unreadable_recordings": len(embedded.failures),
            "segments": len(recordings),
            "groups": len(set(embedded.groups)),
        },
        failures=embedded.failures,
        audio_rate=embedded.audio_rate,
        precision=str(runtime.in_float32().dtype).removeprefix("torch."),
    )


def _fit_familiarity(
    embeddings: Mapping[str, FloatArray], truth: IntArray, groups: Sequence[str], n_scenes: int
) -> dict[str, FittedFamiliarity]:
    """Fit a detector on the embeddings (n, size) of each model for which the groups suffice."""
    fitted = {name: fit_familiarity(values, truth, groups, n_scenes) for name, values in embeddings.items()}
    return {name: found for name, found in fitted.items() if found is not None}


def _shares(familiarity: Mapping[str, FittedFamiliarity], needs: Mapping[str, Needs]) -> dict[str, FloatArray]:
    """Return the out-of-fold familiarity (n,) of each model and of all together."""
    shares = {name: fitted.out_of_fold for name, fitted in familiarity.items()}
    if not shares:
        return {}
    return shares | {FUSED: combine_shares(np.stack(list(shares.values())), [needs[name] for name in shares])}


def encoder_of(head: AudioHead | VideoHead, runtime: Runtime) -> SegmentEncoder:
    """Load the frozen encoder of a head."""
    if isinstance(head, AudioHead):
        return AudioEncoder(LogMelSpec(**head.log_mel), runtime, head.image_size)
    return VideoEncoder(FRAME_SPECS[head.encoder], runtime, head.encoder)


def sampling_of(hop: float, encoders: Mapping[str, SegmentEncoder]) -> Sampling:
    """Return what the decoder is asked for: the highest sample rate of an encoder, and frames of FRAME_SIZE."""
    rates = [encoder.sample_rate for encoder in encoders.values() if encoder.sample_rate is not None]
    uses_video = any(encoder.frame_size is not None for encoder in encoders.values())
    return Sampling(hop=hop, sample_rate=max(rates, default=None), frame_size=FRAME_SIZE if uses_video else None)


def _part(name: str, head: AudioHead | VideoHead) -> Part:
    if isinstance(head, AudioHead):
        return AudioHeadPart(name=name, log_mel=LogMelSpec(**head.log_mel), image_size=head.image_size)
    return VideoHeadPart(name=name, encoder=head.encoder, frames=FRAME_SPECS[head.encoder])


def _trainable(
    data: DataSet, embedded: Embeddings, needs: Mapping[str, Needs], labels: LabelSet
) -> dict[str, FloatArray]:
    """Return the embeddings that suffice for a head: two groups of every scene, one to train and one to evaluate on."""
    sufficient = {name: embedded.by_encoder[name] for name in needs}
    problems = []
    for name, embeddings in [*sufficient.items()]:
        present = ~np.isnan(embeddings[:, 0])
        for scene in labels:
            groups = {
                example.group
                for example, has in zip(embedded.examples, present, strict=True)
                if has and example.label == scene
            }
            if len(groups) < 2:
                problems.append(
                    f"no model {name!r}: scene {scene!r} has {len(groups)} readable group(s) with {needs[name]}, "
                    "at least 2 are needed"
                )
                del sufficient[name]
                break
    if not sufficient:
        raise DataError(f"{data.source}: {'; '.join(problems)}: add recordings from another place, or remove the scene")
    for problem in problems:
        logger.warning(problem)
    for name, embeddings in sufficient.items():
        if n_missing := int(np.isnan(embeddings[:, 0]).sum()):
            missing = f"{n_missing} of {len(embeddings)} segments without {needs[name]} that holds content"
            logger.info(f"model {name!r} is not trained on {missing}")
    return sufficient


def _table(
    embedded: Embeddings,
    labels: LabelSet,
    probabilities: FloatArray,
    modality: Needs,
    familiarity: FloatArray | None,
) -> ScoreTable:
    """Return out-of-fold probabilities (n, n_scenes) as a table, without the rows that were not scored."""
    kept = np.flatnonzero(~np.isnan(probabilities[:, 0]))
    return ScoreTable(
        labels,
        tuple(embedded.examples[row].name for row in kept),
        probabilities[kept],
        starts=embedded.starts[kept],
        groups=tuple(embedded.groups[row] for row in kept),
        truth=tuple(embedded.labels[row] for row in kept),
        modality=modality,
        familiarity=None if familiarity is None else np.nan_to_num(familiarity[kept], nan=1.0),  # no fold measured it
    )
