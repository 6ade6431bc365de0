"""Commands that train systems and run them over data sets: train, reproduce, predict."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from avscene.cli.options import Data, Device, Offline, Precision, System, one_of
from avscene.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from avscene.models.device import Runtime

TrainingData = Annotated[
    str, typer.Option("--data", help="A folder per class, a meta.csv, a TAU directory, or a store.")
]
Holdout = Annotated[
    str | None,
    typer.Option(metavar="COLUMN=VALUE", help="Recordings to leave out. [default: split=test where there is one]"),
]

logger = logging.getLogger(__name__)


def train(
    recipe: Annotated[str, typer.Argument(help="fast, full, or the name of a system, such as A01 or E02.")],
    data: TrainingData,
    output: Annotated[Path, typer.Option(help="Directory of the checkpoint.")],
    holdout: Holdout = None,
    hop: Annotated[float, typer.Option(help="Length of a segment in seconds.")] = 1.0,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Train a system on your own recordings."""
    from avscene.models.device import Runtime

    runtime = Runtime.choose(device, precision, offline=offline)
    if recipe == "fast":
        _train_fast(data, output, holdout, hop, runtime)
    from avscene.cli.progress import stages
    from avscene.training.train import train_system

    with stages() as watch:
        trained = train_system(
            recipe, Path(data), output, holdout=holdout, hop=hop, runtime=runtime, watch=watch, told=logger.info
        )
    _tell_of_failures(trained.failures)
    for part, figures in trained.metrics.items():
        _print_figures(recipe, figures, part)
    _leave(trained.directory, trained.failures)


def _train_fast(data: str, output: Path, holdout: str | None, hop: float, runtime: "Runtime") -> NoReturn:
    from avscene.cli.progress import stages
    from avscene.datasets.layout import read_dataset
    from avscene.datasets.store.manifest import is_store
    from avscene.datasets.store.reader import SegmentStore
    from avscene.training.heads.frozen_encoders import train_fast

    # A store has no embeddings of these front ends; it tells where its recordings are.
    dataset = SegmentStore.open(data).data if is_store(data) else read_dataset(data)
    if holdout is None and "test" in dataset.values("split"):
        holdout = "split=test"
    part = dataset if holdout is None else dataset.hold_out(holdout)[0]
    logger.info(
        f"training on {len(part.examples)} recordings, {len(part.labels)} scenes; held out: {holdout or 'nothing'}"
    )
    with stages() as watch:
        run = train_fast(part, output, holdout=holdout, hop=hop, runtime=runtime, progress=watch("training"))
    _tell_of_failures(run.failures)
    for note in run.notes:
        logger.info(note)
    for name, figures in run.metrics.items():
        _print_figures(name, figures, "out of fold")
    _leave(run.directory, run.failures)


def _tell_of_failures(failures: Sequence[str]) -> None:
    for failure in failures:
        logger.info(f"left out: {failure}")


def _print_figures(name: str, figures: Mapping[str, Any], measured_on: str) -> None:
    log_loss, accuracy, n = figures["log_loss"], figures["accuracy"], figures["n"]
    print(f"{name}: log loss {log_loss:.4f}, accuracy {accuracy:.4f} ({measured_on}, {n} segments)")


def _leave(directory: Path, failures: Sequence[str]) -> NoReturn:
    print(f"{directory}: written; next: avscene classify VIDEO --system {directory}")
    raise typer.Exit(3 if failures else 0)


def reproduce(
    data: Annotated[Path, typer.Argument(metavar="DATA|STORE", help="A TAU directory, any data set, or a store.")],
    output: Annotated[Path, typer.Option(help="Where everything goes, and is found again by the next run.")],
    systems: Annotated[str | None, typer.Option(help="Rows of the table: E02,C04. [default: all of it]")] = None,
    holdout: Holdout = None,
    backbones: Annotated[
        str, typer.Option(help="paper; or small: stand-ins that need no download, to see all of it work.")
    ] = "paper",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Train and measure the seed's systems: published and measured, side by side."""
    from typing import get_args

    from avscene.cli.progress import stages
    from avscene.models.device import Runtime
    from avscene.models.registry import BACKBONES_ALIASES, find
    from avscene.records import Backbones
    from avscene.reports.reproduction.reproduction import write_reproduction
    from avscene.training import reproduce as table
    from avscene.training.experiment import ExperimentRunner
    from avscene.training.train import holdout_of, open_data

    chosen: Backbones = one_of("--backbones", BACKBONES_ALIASES.get(backbones, backbones), get_args(Backbones))
    names = [name.strip() for name in systems.split(",")] if systems else list(table.table_systems())
    names = [find(name).name for name in names]
    runtime = Runtime.choose(device, precision, offline=offline or chosen == "small")
    with stages() as watch:
        store, failures = open_data(data, output, 1.0, watch)
        held = holdout_of(store, holdout)
        if held is None:
            raise UsageError(f"{data}: has no test part; name one with --holdout COLUMN=VALUE")
        workshop = ExperimentRunner(output, store, held, backbones=chosen, runtime=runtime, watch=watch)
        made = table.reproduce(workshop, names, logger.info)
    for path in write_reproduction(output, made) if workshop.writes else ():
        print(f"{path}: written")
    _tell_of_failures(failures)
    if not made.measured:
        raise typer.Exit(WeightsError.exit_code)
    raise typer.Exit(3 if failures else 0)


def predict(
    system: System,
    data: Data,
    output: Annotated[Path, typer.Option(help="The table (TSV).")],
    only: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="Only these recordings, such as fold=5.")
    ] = None,
    by_model: Annotated[bool, typer.Option("--by-model", help="Also write a table of each model, beside it.")] = False,
    labels: Annotated[
        str | None, typer.Option(help="Scene names for a zero-shot system. [default: those of the data]")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Write the probabilities of every segment of a data set as a table."""
    from avscene.cli.progress import stages
    from avscene.datasets.layout import read_dataset
    from avscene.inference import load
    from avscene.inference.predict import predict as predict_all
    from avscene.inference.predict import write_tables
    from avscene.labels import LabelSet
    from avscene.models.checkpoint import is_checkpoint

    whole = read_dataset(data)
    dataset = whole if only is None else whole.only(only)
    # Of the whole: tables of two parts must have the same columns.
    scenes = LabelSet.parse(labels) if labels is not None else None if is_checkpoint(Path(system)) else whole.labels
    loaded = load(system, labels=scenes, device=device, precision=precision, offline=offline)
    with stages() as watch:
        predicted = predict_all(loaded, dataset.examples, dataset.source, watch("predicting"))
    for failure in predicted.failures:
        logger.info(failure)
    for path in write_tables(predicted, output, by_model=by_model):
        print(f"{path}: written")
    raise typer.Exit(3 if predicted.failures else 0)
