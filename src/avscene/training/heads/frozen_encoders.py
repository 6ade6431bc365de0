"""Recipe `fast`, a data set to a checkpoint: frozen encoders, one head per modality, log-linear pool."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from avscene.datasets.dataset import DataSet
from avscene.errors import DataError
from avscene.evaluation.metrics import compute_metrics
from avscene.features.logmel import LogMelSpec
from avscene.fusion.tree import FUSED, Fusion, Layout, fit_fusion
from avscene.inference import check_hop
from avscene.labels import LabelSet
from avscene.media.segments import Sampling
from avscene.mismatch.detector import MismatchDetector
from avscene.models import SegmentEncoder, checkpoint
from avscene.models.cnn.efficientnet_lite import FRAMES
from avscene.models.device import Runtime
from avscene.models.linear_heads import (
    AudioEncoder,
    AudioHeadPart,
    VideoEncoder,
    VideoHeadPart,
)
from avscene.progress import Progress
from avscene.records import FloatArray, Needs
from avscene.tables.score_table import ScoreTable
from avscene.training.card import model_card
from avscene.training.embed import Embeddings, embed_dataset
from avscene.training.heads.linear_heads import FittedHead, fit_head
from avscene.training.mismatch import fit_mismatch

SOUND = LogMelSpec(sample_rate=44_100, n_fft=2048, hop_length=441, n_mels=224, f_min=20.0, f_max=20_000.0)
# Half as wide as the images that the network was trained on: half the time, and nothing lost (out of fold, on real
# recordings).
MEL_IMAGE = (224, 112)
OUT_OF_FOLD = "out_of_fold"  # directory of a checkpoint with one table for each model and one for the pool
NEEDS: dict[str, Needs] = {"audio": "audio", "video": "video"}


@dataclass(frozen=True, slots=True)
class FastResult:
    """What training left: the checkpoint, its out-of-fold metrics by table name, what could not be read; `notes`."""

    directory: Path
    metrics: Mapping[str, Mapping[str, Any]]
    failures: tuple[str, ...]
    notes: tuple[str, ...] = ()


def train_fast(
    data: DataSet,
    output: Path,
    *,
    holdout: str | None,
    hop: float,
    runtime: Runtime,
    progress: Progress | None = None,
) -> FastResult:
    """Train recipe `fast` on `data` and write the checkpoint `output`.

    Every weight is fitted on groups that it is not judged on: heads are cross-fitted by group, and their out-of-fold
    probabilities fit temperatures and the exponents of the pool. `holdout` is only recorded.

    Raises:
        CheckpointError: `output` is there already or cannot be written.
        DataError: too little can be read to tell scenes apart.
        UsageError: the hop is too short, or no number of seconds.
    """
    check_hop(hop)
    checkpoint.check_free(output)
    labels = data.labels
    encoders: dict[str, SegmentEncoder] = {
        "audio": AudioEncoder(SOUND, runtime, MEL_IMAGE),
        "video": VideoEncoder(FRAMES, runtime),
    }
    sampling = Sampling(hop=hop, sample_rate=SOUND.sample_rate, frame_size=FRAMES.resize)
    rows = embed_dataset(data, encoders, sampling, progress)
    trainable, notes = _trainable(data, rows, labels)
    truth = rows.truth(labels.names)
    heads = {name: fit_head(embeddings, truth, rows.groups, len(labels)) for name, embeddings in trainable.items()}
    out_of_fold = {name: fitted.out_of_fold for name, fitted in heads.items()}
    layout = Layout(name="fast", members=tuple(heads), rule="log-pool", needs=NEEDS)
    fusion = fit_fusion(layout, out_of_fold, truth, labels, groups=rows.groups)
    tables = _tables(rows, labels, {**out_of_fold, FUSED: fusion.apply(out_of_fold, labels)})
    metrics = {name: compute_metrics(table).to_dict() for name, table in tables.items()}
    mismatch = fit_mismatch(labels, out_of_fold, NEEDS, rows.examples, rows.starts, truth)
    config = _config(labels, hop, heads, fusion, mismatch, _provenance(data, rows, holdout), metrics)
    tensors = {name: fitted.head.tensors() for name, fitted in heads.items()}
    kept = {f"{OUT_OF_FOLD}/{name}.tsv": table for name, table in tables.items()}
    checkpoint.save_checkpoint(output, config, tensors, model_card(config), kept)
    return FastResult(output, metrics, rows.failures, notes)


def _trainable(data: DataSet, rows: Embeddings, labels: LabelSet) -> tuple[dict[str, FloatArray], tuple[str, ...]]:
    """The embeddings on which a head can be trained and judged, by name, and why there are no others.

    A head needs two groups of every scene: one to learn the scene from, one to be judged on.
    """
    enough, notes = dict(rows.by_encoder), []
    for name, embeddings in rows.by_encoder.items():
        present = ~np.isnan(embeddings[:, 0])
        for scene in labels:
            groups = {
                example.group
                for example, has in zip(rows.examples, present, strict=True)
                if has and example.label == scene
            }
            if len(groups) < 2:
                notes.append(f"no {name} model: scene {scene!r} has {len(groups)} readable group(s) with {name}")
                del enough[name]
                break
    if not enough:
        raise DataError(
            f"{data.source}: {'; '.join(notes)}; two are the least, "
            "so that every scene can be judged on places it was not learnt from"
        )
    return enough, tuple(notes)


def _tables(rows: Embeddings, labels: LabelSet, scores: Mapping[str, FloatArray]) -> dict[str, ScoreTable]:
    """A table of each model's out-of-fold probabilities (n, n_scenes), without the rows that it did not score."""
    tables = {}
    for name, probabilities in scores.items():
        kept = np.flatnonzero(~np.isnan(probabilities[:, 0]))
        tables[name] = ScoreTable(
            labels,
            tuple(rows.examples[row].name for row in kept),
            probabilities[kept],
            starts=rows.starts[kept],
            groups=tuple(rows.groups[row] for row in kept),
            truth=tuple(rows.labels[row] for row in kept),
            modality=NEEDS.get(name, "both"),
        )
    return tables


def _config(
    labels: LabelSet,
    hop: float,
    heads: Mapping[str, FittedHead],
    fusion: Fusion,
    mismatch: MismatchDetector | None,
    training: dict[str, Any],
    metrics: dict[str, Any],
) -> checkpoint.Config:
    parts: dict[str, checkpoint.Part] = {
        "audio": AudioHeadPart(name="audio", log_mel=SOUND, image_size=MEL_IMAGE),
        "video": VideoHeadPart(name="video", frames=FRAMES),
    }
    fitted = {name: {"ridge": head.ridge, "temperature": head.temperature} for name, head in heads.items()}
    return checkpoint.Config(
        name="fast",
        recipe="fast",
        labels=labels.names,
        hop=hop,
        models=tuple(parts[name] for name in heads),
        fusion=fusion,
        mismatch=mismatch,
        training={**training, "heads": fitted},
        metrics=metrics,
        measured_on="out-of-fold",
        versions={name: version(name) for name in ("avscene", "torch", "timm", "av")}
        | {"python": platform.python_version()},
    )


def _provenance(data: DataSet, rows: Embeddings, holdout: str | None) -> dict[str, Any]:
    return {
        "data": data.source.name,
        "held_out": holdout,
        "recordings": len({example.name for example in rows.examples}),
        "unreadable_recordings": len(rows.failures),
        "segments": len(rows.examples),
        "groups": len(set(rows.groups)),
        "date": datetime.now(UTC).date().isoformat(),
    }
