"""Command `predict`: run a system over a labelled data set."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avscene.cli.messages import CONTINUES, InterruptionError, log_skipped
from avscene.cli.options import Data, Device, Limit, Offline, Precision, Program, Ray, RetryFailed, System, Workers

if TYPE_CHECKING:
    from avscene.cli.cluster import Cluster
    from avscene.datasets.dataset import DataSet
    from avscene.inference import System as LoadedSystem
    from avscene.inference.computing import Settings
    from avscene.inference.predict import PredictedTables

logger = logging.getLogger(__name__)


def predict(
    system: System,
    data: Data,
    output: Annotated[str, typer.Option(metavar="PATH", help="The table (TSV), a file or s3://, gs:// or az://.")],
    only: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="Only these recordings, for example fold=5.")
    ] = None,
    by_model: Annotated[bool, typer.Option("--by-model", help="Also write a table of each model, beside it.")] = False,
    labels: Annotated[
        str | None, typer.Option(help="Scene names for a zero-shot system. [default: those of the data]")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    program: Program = None,
    workers: Workers = None,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    ray: Ray = None,
) -> None:
    """Write the probabilities of every segment of a data set as a table."""
    from avscene.cli.cluster import Cluster
    from avscene.cli.inputs import check_table_files
    from avscene.cli.output.results import journal_beside
    from avscene.cli.output.uploads import OutputPlace
    from avscene.cli.progress import stage_bars
    from avscene.datasets.layout import read_dataset
    from avscene.inference import load
    from avscene.inference.computing import Settings
    from avscene.inference.predict import check_scenes, write_tables
    from avscene.labels import LabelSet
    from avscene.media.limits import Limits
    from avscene.models.checkpoint import is_checkpoint
    from avscene.models.sharing.reference import is_hub_reference

    settings = Settings(limits=Limits.parse(limit or []), workers=workers, program=program)
    whole = read_dataset(data)
    place = OutputPlace.of(output)
    assert place.path is not None
    check_table_files(place.path, whole, system, by_model=by_model)
    place.check([])
    part = whole if only is None else whole.only(only)
    journal = journal_beside(place.path) if len(part.examples) > 1 or ray is not None else None
    # Of the whole data set: tables of two parts must have the same columns.
    own_scenes = is_hub_reference(system) or is_checkpoint(Path(system))
    scenes = LabelSet.parse(labels) if labels is not None else None if own_scenes else whole.labels
    options: dict[str, Any] = {"labels": scenes, "device": device, "precision": precision, "offline": offline}
    with stage_bars() as stages:
        loaded = load(system, **options, progress=stages)
    check_scenes(part.examples, part.source, loaded.labels)
    cluster = None if ray is None else Cluster(ray, loaded.name if is_hub_reference(system) else system, options)
    predicted = _predict(loaded, part, journal, settings, cluster, retry_failed=retry_failed)
    log_skipped(logger, predicted.failures)
    for name in place.publish(write_tables(predicted, place.path, by_model=by_model), journal):
        print(f"{name}: written")
    raise typer.Exit(3 if predicted.failures else 0)


def _predict(
    system: "LoadedSystem",
    data: "DataSet",
    journal_path: Path | None,
    settings: "Settings",
    cluster: "Cluster | None",
    *,
    retry_failed: bool,
) -> "PredictedTables":
    """Predict with a progress bar and, if it has a path, a journal."""
    from contextlib import ExitStack

    from avscene.cli.cluster import cluster_at
    from avscene.cli.progress import stage_bars
    from avscene.cli.signals import stop_on_signals
    from avscene.inference.journal import open_journal
    from avscene.inference.predict import StoppedError, predict, sources_of
    from avscene.inference.resumable import ResumableRun

    n_done, n_all = 0, len(data.examples)
    with ExitStack() as stack:
        journal = None
        if journal_path is not None:
            journal = stack.enter_context(open_journal(journal_path, settings.fingerprint(system)))
        stack.enter_context(cluster_at(None if cluster is None else cluster.address))
        stop = stack.enter_context(stop_on_signals())
        remote = None if cluster is None or journal is None else cluster.computing(system, settings, journal, stop)
        show = stack.enter_context(stage_bars())("predicting")

        def count(done: int, total: int) -> None:
            nonlocal n_done
            n_done = done
            show(done, total)

        run = ResumableRun(
            system,
            sources_of(data.examples),
            settings,
            journal,
            retry_failed=retry_failed,
            stop=stop,
            remote=remote,
        )
        try:
            return predict(system, data.examples, data.source, count, run=run)
        except (KeyboardInterrupt, StoppedError):
            if journal is None:
                raise KeyboardInterrupt from None
            raise InterruptionError(f"{n_done} of {n_all} results are kept in {journal_path}; {CONTINUES}") from None
