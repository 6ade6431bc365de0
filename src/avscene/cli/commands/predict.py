"""Command `predict`: run a system over a data set."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avscene.cli.messages import CONTINUES, InterruptionError, log_skipped
from avscene.cli.options import (
    Device,
    Limit,
    Offline,
    Overwrite,
    Precision,
    Program,
    Ray,
    Recordings,
    RetryFailed,
    System,
    Workers,
)

if TYPE_CHECKING:
    from avscene.progress import Progress
    from avscene.tables.score_table import PredictionTable

logger = logging.getLogger(__name__)


def predict(
    system: System,
    data: Recordings,
    output: Annotated[str, typer.Option(metavar="PATH", help="The table (TSV), a file or s3://, gs:// or az://.")],
    only: Annotated[
        str | None, typer.Option(metavar="COLUMN=VALUE", help="Only these recordings, for example fold=5.")
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Leave the labels out; all media files of a folder are read.")
    ] = False,
    by_model: Annotated[bool, typer.Option("--by-model", help="Also write a table of each model, beside it.")] = False,
    labels: Annotated[
        str | None,
        typer.Option(help="Scene names for a zero-shot system. [default: those of the data, else the ten TAU scenes]"),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    offline: Offline = False,
    program: Program = None,
    workers: Workers = None,
    limit: Limit = None,
    retry_failed: RetryFailed = False,
    overwrite: Overwrite = False,
    ray: Ray = None,
) -> None:
    """Write the probabilities of every segment of a data set, labelled or not, as a table."""
    from avscene.cli.output.uploads import OutputPlace
    from avscene.datasets.predict import written_tables
    from avscene.media.limits import Limits
    from avscene.outputs import journal_beside

    place = OutputPlace.of(output)
    place.check([])
    assert place.path is not None
    table = _predict(
        place.path,
        system=system,
        data=data,
        only=only,
        unlabelled=unlabelled,
        by_model=by_model,
        labels=labels,
        device=device,
        precision=precision,
        offline=offline,
        program=program,
        workers=workers,
        limits=Limits.parse(limit or []),
        retry_failed=retry_failed,
        overwrite=overwrite,
        url=place.url,
        ray=ray,
    )
    log_skipped(logger, table.failures)
    for name in place.publish(written_tables(place.path, table, by_model=by_model), journal_beside(place.path)):
        print(f"{name}: written")
    raise typer.Exit(3 if table.failures else 0)


def _predict(output: Path, **options: Any) -> "PredictionTable":
    """Predict with a progress bar, and explain an interruption."""
    from avscene.cli.progress import stage_bars
    from avscene.cli.signals import stop_on_signals
    from avscene.datasets.predict import PREDICTING, predict
    from avscene.inference.predict import StoppedError
    from avscene.outputs import journal_beside

    n_done = n_all = 0
    with stage_bars() as stages:

        def start(stage: str) -> "Progress":
            show = stages(stage)

            def count(done: int, total: int) -> None:
                nonlocal n_done, n_all
                if stage == PREDICTING:
                    n_done, n_all = done, total
                show(done, total)

            return count

        try:
            return predict(output=output, progress=start, stop=stop_on_signals(), **options)
        except (KeyboardInterrupt, StoppedError):
            journal = journal_beside(output)
            if journal is None or not journal.exists() or not n_all:
                raise KeyboardInterrupt from None
            raise InterruptionError(f"{n_done} of {n_all} results are kept in {journal}; {CONTINUES}") from None
