"""Command `reproduce`: train and measure the systems of the paper."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from avscene.cli.messages import CONTINUES, explain_interruption, log_skipped
from avscene.cli.options import Device, Holdout, Offline, Precision, one_of
from avscene.errors import UsageError, WeightsError

logger = logging.getLogger(__name__)


def reproduce(
    data: Annotated[Path, typer.Argument(metavar="DATA|STORE", help="A TAU directory, any data set, or a store.")],
    output: Annotated[Path, typer.Option(help="Directory for all results; the next run continues from them.")],
    systems: Annotated[str | None, typer.Option(help="Rows of the table: E02,C04. [default: all]")] = None,
    holdout: Holdout = None,
    backbones: Annotated[
        str, typer.Option(help="paper; or small: stand-ins that need no download, to try everything.")
    ] = "paper",
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
) -> None:
    """Train and measure the systems of the paper: published and measured metrics side by side."""
    from typing import get_args

    from avscene.cli.progress import stage_bars
    from avscene.datasets.layout import class_folders_at
    from avscene.models.device import Runtime
    from avscene.models.registry import BACKBONES_ALIASES, find
    from avscene.outputs import check_output_directory
    from avscene.records import Backbones
    from avscene.reports.reproduction.files import write_reproduction
    from avscene.training import reproduce as table
    from avscene.training.experiment.definition import Experiment
    from avscene.training.prepare import ensure_store
    from avscene.training.train import holdout_of

    chosen: Backbones = one_of("--backbones", BACKBONES_ALIASES.get(backbones, backbones), get_args(Backbones))
    names = [name.strip() for name in systems.split(",")] if systems else list(table.table_systems())
    names = [find(name).name for name in names]
    check_output_directory(output, [data], sealed=class_folders_at(data))
    with explain_interruption(f"what is finished is in {output}; {CONTINUES}"), stage_bars() as stages:
        runtime = Runtime.choose(device, precision, offline=offline or chosen == "small", progress=stages)
        store, failures = ensure_store(data, output, 1.0, stages)
        held_out = holdout_of(store.data, holdout)
        if held_out is None:
            raise UsageError(f"{data}: has no test part; select one with --holdout COLUMN=VALUE")
        experiment = Experiment.open(output, store, held_out, backbones=chosen, runtime=runtime, progress=stages)
        result = table.reproduce(experiment, names)
    for path in write_reproduction(output, result) if experiment.processes.is_first else ():
        print(f"{path}: written")
    log_skipped(logger, failures)
    if not result.measured:
        raise typer.Exit(WeightsError.exit_code)
    raise typer.Exit(3 if failures else 0)
