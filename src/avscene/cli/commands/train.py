"""Command `train`: train a system on one's own recordings."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption, log_skipped
from avscene.cli.options import Device, Holdout, Hop, Offline, Overwrite, Precision, TrainingData, complete_trainable

if TYPE_CHECKING:
    from avscene.training.train import Trained

logger = logging.getLogger(__name__)


def train(
    name: Annotated[
        str,
        typer.Argument(
            autocompletion=complete_trainable, help="Name of the system: fast, full, or for example A01 or E02."
        ),
    ],
    data: TrainingData,
    output: Annotated[Path, typer.Option(help="Directory of the checkpoint.")],
    holdout: Holdout = None,
    hop: Hop = 1.0,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a system on your own recordings, and evaluate it on those that are held out."""
    from avscene.cli.progress import stage_bars
    from avscene.training.train import train as train_on
    from avscene.training.train import work_of

    def so_far() -> str:
        work = work_of(output)
        if not work.exists():
            return "nothing was written; run the same command again"
        return f"the training so far is in {work}; {CONTINUES}"

    with explain_interruption(so_far), stage_bars() as stages:
        trained = train_on(
            name,
            data,
            output,
            holdout=holdout,
            hop=hop,
            device=device,
            precision=precision,
            offline=offline,
            progress=stages,
            overwrite=overwrite,
        )
    if not trained.tables:  # one of several processes, but not the one that reports
        return
    log_skipped(logger, trained.failures)
    _print_metrics(trained)
    raise typer.Exit(3 if trained.failures else 0)


def _print_metrics(trained: "Trained") -> None:
    """Print the metrics of each model, those of what was held out, and the next commands."""
    from avscene.evaluation.summary import summarise
    from avscene.reports.summary import context_lines, figures_text
    from avscene.training.train import measured_table

    measured_on = trained.measured_on.replace("-", " ")
    for name, table in trained.tables.items():
        print(f"{name}: {figures_text(summarise(table))} ({measured_on}, {len(table)} segments)")
    for name, table in trained.held_out.items():
        print(f"{name}: {figures_text(summarise(table))} (held out: {trained.holdout}, {len(table)} segments)")
    last = list((trained.held_out or trained.tables).values())[-1]
    print("\n".join(context_lines(summarise(last))))
    print(f"{trained.directory}: written")
    print(f"next: avscene evaluate {measured_table(trained)} --report {trained.directory}.html")
    print(f"next: avscene classify VIDEO --system {trained.directory}")
