"""Train a named system on a data set or a store, write its checkpoint, and evaluate it on what was held out."""

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import class_folders_at, read_dataset
from avscene.datasets.store.manifest import is_store
from avscene.datasets.store.reader import SegmentStore
from avscene.errors import DataError, UsageError, did_you_mean
from avscene.files import moved_aside
from avscene.fusion.tree import FUSED
from avscene.inference import check_hop, load
from avscene.inference.predict import predict_recordings
from avscene.models.checkpoint import check_free, read_config
from avscene.models.device import Runtime
from avscene.models.registry import HeadsSystem, SystemRow, find, is_system, systems
from avscene.outputs import check_output_directory
from avscene.progress import StageProgress, reporting
from avscene.storage.urls import is_remote, shown
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import PredictionTable
from avscene.training.experiment.checkpoints import OUT_OF_FOLD, VALIDATION_TABLE, write_heads
from avscene.training.experiment.definition import Experiment
from avscene.training.experiment.runner import ExperimentRunner
from avscene.training.groups_advice import group_warnings
from avscene.training.heads.frozen_encoders import train_heads
from avscene.training.prepare import ensure_store

logger = logging.getLogger(__name__)

DEFAULT_HOLDOUT = "split=test"  # of data sets that have such a part
HELD_OUT = "held_out"  # in a checkpoint: the folder of the tables of what was held out


@dataclass(frozen=True, slots=True)
class Trained:
    """A checkpoint and the recordings that could not be read.

    `metrics` is by the name of a model or of the system; `measured_on` names the rows they were measured on, as in the
    checkpoint's configuration, and `tables` has their predictions. `held_out` has the predictions of what the condition
    `holdout` held out, also by name; the last of each is the system's. Of several processes, only the first one, which
    writes the checkpoint, has metrics and tables. `warnings` say what the groups of the data mean for the metrics.
    """

    directory: Path
    metrics: dict[str, dict[str, Any]]
    measured_on: str
    failures: tuple[str, ...]
    tables: Mapping[str, PredictionTable] = field(default_factory=dict, repr=False)
    held_out: Mapping[str, PredictionTable] = field(default_factory=dict, repr=False)
    holdout: str | None = None
    warnings: tuple[str, ...] = ()


def train(  # noqa: PLR0913  # the options of the command
    name: str,
    data: str | Path,
    output: str | Path,
    *,
    holdout: str | None = None,
    hop: float = 1.0,
    device: str = "auto",
    precision: str = "auto",
    offline: bool = False,
    overwrite: bool = False,
    progress: bool | StageProgress = False,
) -> Trained:
    """Train a system on recordings, write its checkpoint to `output`, and evaluate it on what is held out.

    What the groups of the data mean for the metrics is logged as a warning.

    Args:
        name: a system that is trained: `fast`, `full`, or for example A01 or E02.
        data: a data set or a store.
        output: directory of the checkpoint; an interrupted training that can be continued is in `OUTPUT.work`.
        holdout: condition for the recordings to leave out, such as `fold=5`; None: `split=test` if the data have it.
        hop: length of a segment in seconds; a store has its own.
        device: auto, cpu or cuda.
        precision: auto, float32 or bfloat16.
        offline: use only weights that are on this machine.
        overwrite: replace a checkpoint that exists, once the new one is complete.
        progress: True shows the stages, False does not; or a function (`avscene.progress.reporting`).

    Raises:
        UsageError: no such system, or one that is not trained; `output` is an input or cannot be written.
        CheckpointError: `output` already exists.
        DataError: the recordings do not suffice.
        WeightsError: the weights that training starts from are absent.
    """
    output, work = Path(output), work_of(Path(output))
    if is_remote(data):
        fix = "try: download the data set, and give its path"
        raise DataError(f"{shown(str(data))}: URLs are not downloaded here; {fix}")
    check_output_directory(output, [data], sealed=class_folders_at(data))
    check_output_directory(work, [data], removed=True)
    with reporting(progress) as stages:
        runtime = Runtime.choose(device, precision, offline=offline, progress=stages)
        trained = train_system(
            name,
            Path(data),
            output,
            holdout=holdout,
            hop=hop,
            runtime=runtime,
            progress=stages,
            overwrite=overwrite,
        )
    for warning in trained.warnings:
        logger.warning(warning)
    return trained


def measured_table(trained: Trained) -> Path:
    """Return the file of the system's predictions that were measured: of what is held out, else those for fitting."""
    if trained.held_out:
        return trained.directory / HELD_OUT / f"{list(trained.held_out)[-1]}.tsv"
    if trained.measured_on == "validation":
        return trained.directory / VALIDATION_TABLE
    return trained.directory / OUT_OF_FOLD / f"{FUSED}.tsv"


def work_of(output: Path) -> Path:
    """Return the directory of the unfinished training of a checkpoint."""
    return output.with_name(f"{output.name}.work")


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
    """Train system `name` and all that it is made of, write its checkpoint to `output`, and predict what is held out.

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
    row = find_trainable(name)
    check_free(output, overwrite=overwrite)
    if isinstance(row, HeadsSystem):
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError(f"system {row.name} is trained by one process, in seconds; run: avscene train {row.name}")
        return _train_heads(row, data, output, holdout, hop, runtime, progress)
    work = work_of(output)
    store, failures = ensure_store(data, work, hop, progress)
    held = holdout_of(store.data, holdout)
    experiment = Experiment.open(work, store, held, backbones="paper", runtime=runtime, progress=progress)
    logger.info(
        f"training on {len(experiment.split.train)} segments, choosing and fitting on "
        f"{len(experiment.split.validation)}, {len(store.labels)} scenes; held out: {held or 'nothing'}"
    )
    runner = ExperimentRunner(experiment)
    made = runner.checkpoint(row.name)
    if not experiment.processes.is_first:
        return Trained(output, {}, "validation", failures)
    tables = {row.name: runner.table(row.name, experiment.split.validation)}
    held_out = {row.name: runner.table(row.name, experiment.split.test)} if len(experiment.split.test) else {}
    _write_held_out(made, held_out)
    with moved_aside(output):
        made.replace(output)
    shutil.rmtree(work, ignore_errors=True)
    config = read_config(output)
    metrics = {row.name: config.metrics["validation"]}
    warnings = group_warnings(store.data if held is None else store.data.hold_out(held)[0])
    return Trained(output, metrics, config.measured_on, failures, tables, held_out, held, warnings)


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
    data = open_data(path)
    held = holdout_of(data, holdout)
    part, rest = (data, None) if held is None else data.hold_out(held)
    logger.info(
        f"training on {len(part.examples)} recordings, {len(part.labels)} scenes; held out: {held or 'nothing'}"
    )
    check_hop(hop)
    trained = train_heads(row, part, hop, runtime, progress("training"))
    with moved_aside(output):
        config = write_heads(output, row.name, trained, part.labels, data=part.source.name, holdout=held, hop=hop)
    made = Trained(
        output,
        config.metrics,
        config.measured_on,
        trained.failures,
        tables=trained.out_of_fold,
        holdout=held,
        warnings=group_warnings(part),
    )
    if rest is None:
        return made
    held_out, failures = predict_held_out(output, rest, runtime, progress)
    return replace(made, held_out=held_out, failures=made.failures + failures)


def open_data(path: Path) -> DataSet:
    """Read the labelled recordings of a data set or of a store."""
    return SegmentStore.open(path).data if is_store(path) else read_dataset(path)


def predict_held_out(
    checkpoint: Path, data: DataSet, runtime: Runtime, progress: StageProgress
) -> tuple[dict[str, PredictionTable], tuple[str, ...]]:
    """Predict held-out recordings from their files and add the tables to the checkpoint.

    Returns:
        The tables by the names of the models and FUSED, which is the last, and why recordings have no rows.

    Raises:
        DataError: a recording has a scene that the system does not know.
        MediaError: no recording can be read.
    """
    precision = "auto" if runtime.dtype is None else str(runtime.dtype).removeprefix("torch.")
    system = load(checkpoint, device=runtime.device.type, precision=precision, offline=runtime.offline)
    stage = progress("evaluating what is held out")
    predicted = predict_recordings(system, data.examples, data.source, stage)
    tables = {name: table for name, table in predicted.tables.items() if name != FUSED}
    tables[FUSED] = predicted.tables[FUSED]
    _write_held_out(checkpoint, tables)
    return tables, predicted.failures


def _write_held_out(checkpoint: Path, tables: Mapping[str, PredictionTable]) -> None:
    for name, table in tables.items():
        write_table(checkpoint / HELD_OUT / f"{name}.tsv", table)


def find_trainable(name: str) -> SystemRow:
    """Return the row of a system that is trained.

    Raises:
        UsageError: no such system, or one that is not trained.
    """
    if not is_system(name):
        trainable = [known for known, row in systems().items() if row.trained]
        near = did_you_mean(name, trainable)
        raise UsageError(f"system {name!r} is not one of {', '.join(trainable)}{near}")
    row = find(name)
    if not row.trained:
        raise UsageError(f"system {row.name} needs no training: run: avscene classify VIDEO --system {row.name}")
    return row
