"""Command `train`: train a system on one's own recordings."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from avscene.cli.messages import CONTINUES, explain_interruption, log_skipped
from avscene.cli.options import Device, Holdout, Hop, Offline, Precision, TrainingData

logger = logging.getLogger(__name__)


def train(
    name: Annotated[str, typer.Argument(help="Name of the system: fast, full, or for example A01 or E02.")],
    data: TrainingData,
    output: Annotated[Path, typer.Option(help="Directory of the checkpoint.")],
    holdout: Holdout = None,
    hop: Hop = 1.0,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Train a system on your own recordings."""
    from avscene.cli.progress import stage_bars
    from avscene.datasets.layout import class_folders_at
    from avscene.models.device import Runtime
    from avscene.outputs import check_output_directory
    from avscene.training.train import train_system

    work = output.parent / f"{output.name}.work"  # of systems whose training can be resumed
    check_output_directory(output, [data], sealed=class_folders_at(data))
    check_output_directory(work, [data], removed=True)

    def so_far() -> str:
        return CONTINUES if work.exists() else "nothing is written yet"

    with explain_interruption(so_far), stage_bars() as stages:
        runtime = Runtime.choose(device, precision, offline=offline, progress=stages)
        trained = train_system(name, Path(data), output, holdout=holdout, hop=hop, runtime=runtime, progress=stages)
    if not trained.metrics:  # one of several processes, but not the one that reports
        return
    log_skipped(logger, trained.failures)
    for model, metrics in trained.metrics.items():
        _print_metrics(model, metrics, trained.measured_on.replace("-", " "))
    print(f"{output}: written; next: avscene classify VIDEO --system {output}")
    raise typer.Exit(3 if trained.failures else 0)


def _print_metrics(name: str, metrics: Mapping[str, Any], measured_on: str) -> None:
    log_loss, accuracy, n = metrics["log_loss"], metrics["accuracy"], metrics["n"]
    print(f"{name}: log loss {log_loss:.4f}, accuracy {accuracy:.4f} ({measured_on}, {n} segments)")
