"""Command `cross-validate`: train and evaluate a system over the folds of a data set."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption, log_skipped
from avscene.cli.options import Device, Hop, Offline, Precision, TrainingData

logger = logging.getLogger(__name__)


def cross_validate(
    name: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of the system: fast, full, or for example A01.")],
    data: TrainingData,
    folds: Annotated[
        str,
        typer.Option(
            metavar="COLUMN", help="Column with the fold of each recording; also city, or group (one at a time)."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Directory for the system of each fold and the pooled table.")] = Path(
        "cross-validation"
    ),
    hop: Hop = 1.0,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Train a system once for each fold on the other folds, and evaluate it on that fold; run it again to continue."""
    from avscene.cli.output.tables import cross_validation_text
    from avscene.cli.progress import stage_bars
    from avscene.evaluation.summary import summarise
    from avscene.models.device import Runtime
    from avscene.reports.summary import context_lines
    from avscene.training.cross_validation import POOLED_TABLE
    from avscene.training.cross_validation import cross_validate as validate

    runtime = Runtime.choose(device, precision, offline=offline)
    with explain_interruption(CONTINUES), stage_bars() as stages:
        result = validate(name, data, output, folds=folds, hop=hop, runtime=runtime, progress=stages)
    log_skipped(logger, result.failures)
    print(cross_validation_text(result))
    print("\n".join(context_lines(summarise(result.pooled))))
    print(f"{output / POOLED_TABLE}: written, each fold predicted by a system that was trained on the others")
    print(f"next: avscene evaluate {output / POOLED_TABLE} --report {output}.html")
    raise typer.Exit(3 if result.failures else 0)
