"""Commands that train systems and run them over data sets: train, predict."""

from pathlib import Path
from typing import Annotated

import typer

from avscene.apps.commands.options import Data, Device, Offline, Precision, System, tell


def train(
    recipe: Annotated[str, typer.Argument(help="fast")],
    data: Data,
    output: Annotated[Path, typer.Option(help="Directory of the checkpoint.")],
    holdout: Annotated[
        str | None,
        typer.Option(metavar="COLUMN=VALUE", help="Recordings to leave out. [default: split=test where there is one]"),
    ] = None,
    hop: Annotated[float, typer.Option(help="Length of a segment in seconds.")] = 1.0,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Train a system on your own recordings."""
    from avscene.apps.progress import stages
    from avscene.datasets.layout import read_dataset
    from avscene.models.device import Runtime
    from avscene.training.train import train as train_recipe

    dataset = read_dataset(data)
    if holdout is None and "test" in dataset.values("split"):
        holdout = "split=test"
    part = dataset if holdout is None else dataset.hold_out(holdout)[0]
    tell(f"training on {len(part.examples)} recordings, {len(part.labels)} scenes; held out: {holdout or 'nothing'}")
    runtime = Runtime.choose(device, precision)
    with stages() as watch:
        run = train_recipe(recipe, part, output, holdout=holdout, hop=hop, runtime=runtime, progress=watch("training"))
    for failure in run.failures:
        tell(f"left out: {failure}")
    for note in run.notes:
        tell(note)
    for name, figures in run.metrics.items():
        log_loss, accuracy, n = figures["log_loss"], figures["accuracy"], figures["n"]
        print(f"{name}: log loss {log_loss:.4f}, accuracy {accuracy:.4f} (out of fold, {n} segments)")
    print(f"{run.directory}: written; next: avscene classify VIDEO --system {run.directory}")
    raise typer.Exit(3 if run.failures else 0)


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
    from avscene.apps.predict import predict as predict_all
    from avscene.apps.predict import write_tables
    from avscene.apps.progress import stages
    from avscene.datasets.layout import read_dataset
    from avscene.labels import LabelSet
    from avscene.models.checkpoint import is_checkpoint
    from avscene.pipeline import load

    whole = read_dataset(data)
    dataset = whole if only is None else whole.only(only)
    # Of the whole: tables of two parts must have the same columns.
    scenes = LabelSet.parse(labels) if labels is not None else None if is_checkpoint(Path(system)) else whole.labels
    loaded = load(system, labels=scenes, device=device, precision=precision, offline=offline)
    with stages() as watch:
        predicted = predict_all(loaded, dataset, watch("predicting"))
    for failure in predicted.failures:
        tell(failure)
    for path in write_tables(predicted, output, by_model=by_model):
        print(f"{path}: written")
    raise typer.Exit(3 if predicted.failures else 0)
