"""Command `predict`: run a system over a labelled data set."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import log_skipped
from avscene.cli.options import Data, Device, Offline, Precision, System

logger = logging.getLogger(__name__)


def predict(
    system: System,
    data: Data,
    output: Annotated[Path, typer.Option(help="The table (TSV).")],
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
) -> None:
    """Write the probabilities of every segment of a data set as a table."""
    from avscene.cli.inputs import check_table_files
    from avscene.cli.progress import stage_bars
    from avscene.datasets.layout import read_dataset
    from avscene.inference import load
    from avscene.inference.predict import predict, write_tables
    from avscene.labels import LabelSet
    from avscene.models.checkpoint import is_checkpoint

    whole = read_dataset(data)
    check_table_files(output, whole, system, by_model=by_model)
    part = whole if only is None else whole.only(only)
    # Of the whole data set: tables of two parts must have the same columns.
    scenes = LabelSet.parse(labels) if labels is not None else None if is_checkpoint(Path(system)) else whole.labels
    loaded = load(system, labels=scenes, device=device, precision=precision, offline=offline)
    with stage_bars() as stages:
        predicted = predict(loaded, part.examples, part.source, stages("predicting"))
    log_skipped(logger, predicted.failures)
    for path in write_tables(predicted, output, by_model=by_model):
        print(f"{path}: written")
    raise typer.Exit(3 if predicted.failures else 0)
