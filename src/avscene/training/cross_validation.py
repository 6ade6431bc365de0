"""Cross-validate a system over the folds of a data set: train and predict once for each, and pool the predictions."""

import hashlib
import json
import logging
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import class_folders_at
from avscene.errors import DataError, UsageError
from avscene.evaluation.summary import Summary, summarise
from avscene.files import write_text
from avscene.fusion.tree import FUSED
from avscene.models.checkpoint import CONFIG
from avscene.models.device import Runtime
from avscene.models.registry import HeadsSystem, SystemRow
from avscene.outputs import check_output_directory
from avscene.progress import StageProgress
from avscene.tables.folds import pool_tables
from avscene.tables.prediction_table import read_table, write_table
from avscene.tables.score_table import PredictionTable
from avscene.training.groups_advice import group_warnings
from avscene.training.prepare import ensure_store
from avscene.training.train import HELD_OUT, find_trainable, open_data, predict_held_out, train_system

logger = logging.getLogger(__name__)

POOLED_TABLE = "out_of_fold.tsv"
KEY_FILE = "cross-validation.json"
_PLAIN = re.compile(r"[\w.-]+")  # a value that can be part of the name of a directory


@dataclass(frozen=True)
class CrossValidation:
    """The predictions of a system for each fold by its value in `column`, and all of them in one table, `pooled`.

    The system that predicted a fold was trained on the others. `failures` says which recordings could not be read.
    """

    directory: Path
    column: str
    folds: Mapping[str, PredictionTable] = field(repr=False)
    pooled: PredictionTable = field(repr=False)
    failures: tuple[str, ...]

    @cached_property
    def summaries(self) -> Mapping[str, Summary]:
        """The metrics of each fold, by its value."""
        return {value: summarise(table) for value, table in self.folds.items()}

    def mean(self, metric: str) -> float:
        """Return the mean over folds of `log_loss` or `accuracy`."""
        return statistics.fmean(self._values(metric))

    def standard_deviation(self, metric: str) -> float:
        """Return the standard deviation over folds (of a sample: n - 1) of `log_loss` or `accuracy`."""
        return statistics.stdev(self._values(metric))

    def _values(self, metric: str) -> list[float]:
        return [float(getattr(summary, metric)) for summary in self.summaries.values()]


def cross_validate(
    name: str,
    data: str | Path,
    output: str | Path,
    *,
    folds: str,
    hop: float,
    runtime: Runtime,
    progress: StageProgress,
) -> CrossValidation:
    """Train system `name` once for each value of the column `folds`, without the recordings that have it.

    The same call continues after an interruption: folds that are finished are read. What the groups of the data mean
    for the metrics is logged as a warning.

    Args:
        name: a system of the registry that is trained.
        data: a data set or a store.
        output: directory of a checkpoint for each fold and of the pooled table.
        folds: column of the data, such as `fold`, `city` or `group`; recordings without a value are always trained on.
        hop: length of a segment in seconds; a store has its own.
        runtime: device and precision.
        progress: called with the name of each stage.

    Raises:
        UsageError: no such system, or one that is not trained; `output` is an input or cannot be written.
        DataError: no such column, a group or a whole scene is in one fold alone, or `output` holds another
            cross-validation.
        MediaError: no recording can be read.
        WeightsError: the weights that training starts from are absent.
    """
    row, output, source = find_trainable(name), Path(output), Path(data)
    check_output_directory(output, [data], sealed=class_folders_at(data))
    whole = open_data(source)
    values = whole.parts(folds)
    _check_folds(whole, folds, values)
    _check_key(output, row, whole, folds, hop)
    failures: tuple[str, ...] = ()
    if not isinstance(row, HeadsSystem):
        store, failures = ensure_store(source, output, hop, progress)
        source = store.directory
    tables: dict[str, PredictionTable] = {}
    for number, value in enumerate(values, start=1):
        logger.info(f"fold {number} of {len(values)}: {folds}={value}")
        directory = output / (f"{folds}-{value}" if _PLAIN.fullmatch(value) else f"{folds}-number-{number}")
        tables[value], failed = _fold(row, source, directory, f"{folds}={value}", hop, runtime, progress)
        failures = tuple(dict.fromkeys(failures + failed))
    pooled = pool_tables(tables)
    write_table(output / POOLED_TABLE, pooled)
    for warning in group_warnings(whole):
        logger.warning(warning)
    return CrossValidation(output, folds, tables, pooled, failures)


def _fold(
    row: SystemRow,
    source: Path,
    directory: Path,
    condition: str,
    hop: float,
    runtime: Runtime,
    progress: StageProgress,
) -> tuple[PredictionTable, tuple[str, ...]]:
    """Return the predictions of one fold, from its checkpoint if it exists, and the recordings that failed."""
    table = directory / HELD_OUT / f"{FUSED if isinstance(row, HeadsSystem) else row.name}.tsv"
    if not (directory / CONFIG).is_file():
        trained = train_system(
            row.name, source, directory, holdout=condition, hop=hop, runtime=runtime, progress=progress
        )
        if not trained.held_out:
            raise UsageError(f"system {row.name} is cross-validated by one process; start it without torchrun")
        return list(trained.held_out.values())[-1], trained.failures
    if table.is_file():
        return read_table(table), ()
    tables, failures = predict_held_out(directory, open_data(source).hold_out(condition)[1], runtime, progress)
    return list(tables.values())[-1], failures


def _check_folds(data: DataSet, column: str, values: tuple[str, ...]) -> None:
    """Raise DataError before any work if a group is in two folds, or if all recordings of a scene are in one."""
    for value in values:
        rest, held = data.hold_out(f"{column}={value}")
        scenes = {example.label for example in rest.examples}
        if missing := sorted({example.label for example in held.examples} - scenes):
            raise DataError(
                f"{data.source}: all recordings of scene {missing[0]!r} have {column}={value}; without them no system "
                "knows it"
            )


def _check_key(output: Path, row: SystemRow, data: DataSet, column: str, hop: float) -> None:
    """Write what the results in `output` depend on, or compare it with what is written there."""
    recordings = hashlib.sha256()
    for example in data.examples:
        recordings.update(repr((example.name, example.label, example.group, example.columns.get(column))).encode())
    key = {
        "system": row.name,
        "folds": column,
        "hop": hop,
        "recordings": recordings.hexdigest(),
        "avscene": version("avscene"),
    }
    path = output / KEY_FILE
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if different := sorted(name for name in key if found.get(name) != key[name]):
            raise DataError(
                f"{output}: holds another cross-validation ({', '.join(different)} differ); name another --output, or "
                "remove it"
            )
    elif output.exists() and any(output.iterdir()):
        raise DataError(f"{output}: already exists; name another --output or remove it")
    write_text(path, json.dumps(key, indent=2) + "\n")
