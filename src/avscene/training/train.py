"""Train a named system on a data set or a store and write its checkpoint."""

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_dataset
from avscene.datasets.store.manifest import is_store
from avscene.datasets.store.reader import SegmentStore
from avscene.errors import UsageError, did_you_mean
from avscene.files import moved_aside
from avscene.inference import check_hop
from avscene.models.checkpoint import check_free, read_config
from avscene.models.device import Runtime
from avscene.models.registry import HeadsSystem, SystemRow, find, is_system, systems
from avscene.progress import StageProgress
from avscene.training.experiment.checkpoints import write_heads
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.runner import ExperimentRunner
from avscene.training.heads.frozen_encoders import train_heads
from avscene.training.prepare import ensure_store

logger = logging.getLogger(__name__)

DEFAULT_HOLDOUT = "split=test"  # of data sets that have such a part


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint and the recordings that could not be read.

    `metrics` is by the name of a model or of the system; `measured_on` names the rows they were measured on, as in the
    checkpoint's configuration. Of several processes, only the first one, which writes the checkpoint, has metrics.
    """

    directory: Path
    metrics: dict[str, dict[str, Any]]
    measured_on: str
    failures: tuple[str, ...]


def train_system(
    name: str,
    data: Path,
    output: Path,
    *,
    holdout: str | None,
    hop: float,
    runtime: Runtime,
    progress: StageProgress,
    overwrite: bool = False,
) -> Trained:
    """Train system `name` and all that it is made of, and write its checkpoint to `output`.

    Args:
        name: a system of the registry that is trained.
        data: a data set or a store.
        output: directory of the checkpoint. An unfinished training leaves `OUTPUT.work` beside it, from which the next
            call resumes.
        holdout: condition for recordings to leave out, for example `fold=5`; None: `split=test` if the data set has it.
        hop: length of a segment in seconds; a store has its own.
        runtime: device and precision.
        progress: called with the name of each stage.
        overwrite: replace a checkpoint at `output` once the new one is complete.

    Raises:
        UsageError: no such system, or one that is not trained.
        CheckpointError: `output` already exists or cannot be written.
        DataError: the recordings do not suffice.
        WeightsError: the weights that training starts from are absent.
        ProcessError: another process of this training has ended or does not answer.
    """
    row = _trainable(name)
    check_free(output, overwrite=overwrite)
    if isinstance(row, HeadsSystem):
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(f"system {row.name} is trained by one process, in seconds; run: avscene train {row.name}")
        return _train_heads(row, data, output, holdout, hop, runtime, progress)
    work = output.with_name(f"{output.name}.work")
    store, failures = ensure_store(data, work, hop, progress)
    held = holdout_of(store.data, holdout)
    experiment = Experiment.open(work, store, held, backbones="paper", runtime=runtime, progress=progress)
    logger.info(
        f"training on {len(experiment.split.train)} segments, choosing and fitting on "
        f"{len(experiment.split.validation)}, {len(store.labels)} scenes; held out: {held or 'nothing'}"
    )
    made = ExperimentRunner(experiment).checkpoint(row.name)
    if not experiment.processes.is_first:
        return Trained(output, {}, "validation", failures)
    with moved_aside(output):
        made.replace(output)
    shutil.rmtree(work, ignore_errors=True)
    config = read_config(output)
    return Trained(output, {row.name: config.metrics["validation"]}, config.measured_on, failures)


def holdout_of(data: DataSet, holdout: str | None) -> str | None:
    """Return the condition for what is held out: `holdout`, else the test part of a data set that has one."""
    if holdout is None and "test" in data.values("split"):
        return DEFAULT_HOLDOUT
    return holdout


def _train_heads(
    row: HeadsSystem,
    path: Path,
    output: Path,
    holdout: str | None,
    hop: float,
    runtime: Runtime,
    progress: StageProgress,
) -> Trained:
    """Train heads from recordings; a store has no embeddings by their encoders, but the paths of its recordings."""
    data = SegmentStore.open(path).data if is_store(path) else read_dataset(path)
    held = holdout_of(data, holdout)
    part = data if held is None else data.hold_out(held)[0]
    logger.info(
        f"training on {len(part.examples)} recordings, {len(part.labels)} scenes; held out: {held or 'nothing'}"
    )
    check_hop(hop)
    trained = train_heads(row, part, hop, runtime, progress("training"))
    with moved_aside(output):
        config = write_heads(output, row.name, trained, part.labels, data=part.source.name, holdout=held, hop=hop)
    return Trained(output, config.metrics, config.measured_on, trained.failures)


def _trainable(name: str) -> SystemRow:
    if not is_system(name):
        trainable = [known for known, row in systems().items() if row.trained]
        near = did_you_mean(name, trainable)
        raise UsageError(f"system {name!r} is not one of {', '.join(trainable)}{near}")
    row = find(name)
    if not row.trained:
        raise UsageError(f"system {row.name} needs no training: run: avscene classify VIDEO --system {row.name}")
    return row
