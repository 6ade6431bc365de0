"""Command `train`: train a system on one's own recordings."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from avscene.cli.messages import CONTINUES, explain_interruption, log_skipped
from avscene.cli.options import Device, Holdout, Hop, Offline, Precision, TrainingData

if TYPE_CHECKING:
    from avscene.models.device import Runtime

logger = logging.getLogger(__name__)


def train(
    recipe: Annotated[str, typer.Argument(help="fast, full, or the name of a system, for example A01 or E02.")],
    data: TrainingData,
    output: Annotated[Path, typer.Option(help="Directory of the checkpoint.")],
    holdout: Holdout = None,
    hop: Hop = 1.0,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Train a system on your own recordings."""
    from avscene.models.device import Runtime

    runtime = Runtime.choose(device, precision, offline=offline)
    if recipe == "fast":
        _train_fast(data, output, holdout, hop, runtime)
    from avscene.cli.progress import stage_bars
    from avscene.training.train import train_system

    with explain_interruption(CONTINUES), stage_bars() as stages:
        trained = train_system(
            recipe, Path(data), output, holdout=holdout, hop=hop, runtime=runtime, watch=stages, told=logger.info
        )
    log_skipped(logger, trained.failures)
    for part, metrics in trained.metrics.items():
        _print_metrics(recipe, metrics, part)
    _exit(trained.directory, trained.failures)


def _train_fast(data: str, output: Path, holdout: str | None, hop: float, runtime: "Runtime") -> NoReturn:
    from avscene.cli.progress import stage_bars
    from avscene.datasets.layout import read_dataset
    from avscene.datasets.store.manifest import is_store
    from avscene.datasets.store.reader import SegmentStore
    from avscene.training.heads.frozen_encoders import train_fast

    # A store has no embeddings for these models; it has the paths of the recordings.
    dataset = SegmentStore.open(data).data if is_store(data) else read_dataset(data)
    if holdout is None and "test" in dataset.values("split"):
        holdout = "split=test"
    part = dataset if holdout is None else dataset.hold_out(holdout)[0]
    logger.info(
        f"training on {len(part.examples)} recordings, {len(part.labels)} scenes; held out: {holdout or 'nothing'}"
    )
    with stage_bars() as stages:
        run = train_fast(part, output, holdout=holdout, hop=hop, runtime=runtime, progress=stages("training"))
    log_skipped(logger, run.failures)
    for note in run.notes:
        logger.info(note)
    for name, metrics in run.metrics.items():
        _print_metrics(name, metrics, "out of fold")
    _exit(run.directory, run.failures)


def _print_metrics(name: str, metrics: Mapping[str, Any], measured_on: str) -> None:
    log_loss, accuracy, n = metrics["log_loss"], metrics["accuracy"], metrics["n"]
    print(f"{name}: log loss {log_loss:.4f}, accuracy {accuracy:.4f} ({measured_on}, {n} segments)")


def _exit(directory: Path, failures: Sequence[str]) -> NoReturn:
    print(f"{directory}: written; next: avscene classify VIDEO --system {directory}")
    raise typer.Exit(3 if failures else 0)
