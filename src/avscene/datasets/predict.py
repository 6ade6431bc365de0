"""Run a system over a data set, labelled or not, and return its prediction table; an interrupted run continues."""

import glob
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from avscene.cluster import connect
from avscene.datasets.dataset import DataSet
from avscene.datasets.layout import read_recordings
from avscene.errors import UsageError
from avscene.fusion.tree import FUSED
from avscene.inference.journal import open_journal
from avscene.inference.journal.overwriting import RunOutput
from avscene.inference.ledger.cluster import Cluster
from avscene.inference.loading import load
from avscene.inference.predict import check_scenes, predict_recordings, sources_of, table_paths
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.resumable import ResumableRun
from avscene.inference.system import System
from avscene.labels import LabelSet
from avscene.media.limits import DEFAULT_LIMITS, Limits
from avscene.models.checkpoint import is_checkpoint
from avscene.models.registry import check_usable
from avscene.models.sharing.reference import is_hub_reference
from avscene.outputs import Location, check_outputs, journal_beside
from avscene.progress import StageProgress, reporting
from avscene.tables.prediction_table import write_table
from avscene.tables.score_table import PredictionTable

PREDICTING = "predicting"  # the stage of recordings


def predict(  # noqa: PLR0913  # the options of the command
    system: str | Path | System,
    data: str | Path,
    output: str | Path | None = None,
    *,
    only: str | None = None,
    unlabelled: bool = False,
    by_model: bool = False,
    labels: str | Iterable[str] | LabelSet | None = None,
    device: str = "auto",
    precision: str = "auto",
    offline: bool = False,
    program: int | None = None,
    workers: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    retry_failed: bool = False,
    overwrite: bool = False,
    url: str | None = None,
    ray: str | None = None,
    progress: bool | StageProgress = False,
    stop: AbstractContextManager[threading.Event] | None = None,
) -> PredictionTable:
    """Return the probabilities of every segment of a data set, and write them to the table `output`.

    With an output, finished recordings are kept in a journal beside it (`OUTPUT.journal`): the same call continues
    after an interruption, and computes only new and changed recordings.

    Args:
        system: a name, the directory of a checkpoint, or a loaded system.
        data: a data set, or recordings without labels: a folder of media files, TAU's evaluation set, a list of paths
            (`.txt`), a table without a column `label`.
        output: file of the table (TSV); None: none is written.
        only: condition for the recordings, such as `fold=5`.
        unlabelled: leave the labels of the data set out.
        by_model: also write the table of each model beside `output`.
        labels: scenes for a zero-shot system; by default those of the data, else the ten TAU scenes.
        device: auto, cpu or cuda; a loaded system has its own.
        precision: auto, float32 or bfloat16; a loaded system has its own.
        offline: use only weights that are on this machine.
        program: programme to read of a transport stream that has several.
        workers: number of recordings decoded at a time.
        limits: what one recording may need.
        retry_failed: try recordings again that the journal has as failed.
        overwrite: replace a table that exists; without it, only one of the same call is brought up to date.
        url: object in object storage that the table becomes; None: none.
        ray: address of a Ray cluster that computes; needs `output` and the name or directory of a system.
        progress: True shows downloads of weights and recordings done, False does not; or a function
            (`avscene.progress.reporting`).
        stop: entered for the run; once its event is set, the run ends after the recordings in progress.

    Returns:
        The table; its `by_model` has that of each model, its `failures` why recordings have no rows.

    Raises:
        DataError: the data are malformed, or a recording has a scene that is not one of the system's.
        UsageError: an unknown system; the output exists, is an input or cannot be written.
        MediaError: no recording can be read.
        StoppedError: the event of `stop` was set.
    """
    settings = Settings(limits=limits, workers=workers, program=program)
    whole = read_recordings(data, unlabelled=unlabelled)
    path = None if output is None else Path(output)
    if path is not None:
        _check_tables(path, whole, system, by_model=by_model)
    part = whole if only is None else whole.only(only)
    options = {"device": device, "precision": precision, "offline": offline}
    with ExitStack() as stack:
        stages = stack.enter_context(reporting(progress))
        if not isinstance(system, System) and not is_hub_reference(str(system)):
            check_usable(str(system))
        journal = None if path is None or (len(part.examples) < 2 and ray is None) else journal_beside(path)
        files = [] if path is None else [path]  # and, once their names are known, those of the models
        replaced = RunOutput(
            lambda: files, url, "table", overwrite, (str(data), str(only), str(unlabelled), str(by_model))
        )
        replaced.check_without_journal(journal)
        loaded, options = _load(system, whole, labels, options, stages)
        if path is not None and by_model:
            files += table_paths(path, [model.name for model in loaded.models])
            replaced.check_without_journal(journal)
        check_scenes(part.examples, part.source, loaded.labels)
        if ray is not None and not isinstance(system, System) and is_hub_reference(str(system)):
            system = loaded.name  # with the commit
        cluster = None if ray is None else _cluster(ray, system, path, options)
        if cluster is not None:
            stack.enter_context(connect(cluster.address))
        event = threading.Event() if stop is None else stack.enter_context(stop)
        opened = None
        if journal is not None:
            opened = stack.enter_context(open_journal(journal, settings.fingerprint(loaded)))
            replaced.begin(opened, settings.fingerprint(loaded))
        remote = None
        if cluster is not None and opened is not None:
            remote = cluster.computing(loaded, settings, opened, event)
        sources = sources_of(part.examples)
        run = ResumableRun(loaded, sources, settings, opened, retry_failed=retry_failed, stop=event, remote=remote)
        show = stages(PREDICTING)
        show(0, len(part.examples))
        predicted = predict_recordings(loaded, part.examples, part.source, show, run=run)
        by_name = {name: table for name, table in predicted.tables.items() if name != FUSED}
        table = replace(predicted.tables[FUSED], by_model=by_name, failures=predicted.failures)
        written = written_tables(path, table, by_model=by_model)
        for file, content in zip(written, [table, *by_name.values()], strict=False):
            write_table(file, content)
        if opened is not None:
            replaced.finish(opened, settings.fingerprint(loaded))
    return table


def written_tables(output: Path | None, table: PredictionTable, *, by_model: bool) -> list[Path]:
    """Return the files that `predict` writes, such as `scores.tsv` and `scores.audio.tsv`: the fused table first."""
    if output is None:
        return []
    return [output, *(table_paths(output, list(table.by_model)) if by_model else [])]


def _load(
    system: str | Path | System,
    data: DataSet,
    labels: str | Iterable[str] | LabelSet | None,
    options: dict[str, Any],
    stages: StageProgress,
) -> tuple[System, dict[str, Any]]:
    """Load a system for the scenes of `data`; return it with the arguments of `load`."""
    if isinstance(system, System):
        if labels is not None:
            raise UsageError("a loaded system has its labels already; try: avscene.load(..., labels=...)")
        return system, options
    own_scenes = is_hub_reference(str(system)) or is_checkpoint(Path(system))
    if labels is None and data.is_labelled and not own_scenes:
        labels = data.labels  # of the whole data set: tables of two parts must have the same columns
    options = options | {"labels": labels}
    return load(system, **options, progress=stages), options


def _cluster(address: str, system: str | Path | System, output: Path | None, options: dict[str, Any]) -> Cluster:
    if output is None:
        raise UsageError("a run on a cluster needs an output, in a folder that all nodes see")
    if isinstance(system, System):
        raise UsageError("a run on a cluster needs the name or the directory of a system, which the nodes load")
    return Cluster(address, str(system), options)


def _check_tables(output: Path, data: DataSet, system: str | Path | System, *, by_model: bool) -> None:
    """Raise UsageError if a table cannot be written, or would replace a file of the data set or of the system."""
    inputs: list[Location] = [*data.files, *([] if isinstance(system, System) else [system])]
    check_outputs([output, journal_beside(output)], inputs)
    # The names of the models are not read yet.
    for beside in output.parent.glob(f"{glob.escape(output.stem)}.*{output.suffix}") if by_model else ():
        if beside.is_file():
            check_outputs([beside], inputs)
