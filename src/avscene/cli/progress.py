"""Draw progress bars on standard error, on a terminal only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from avscene.progress import Progress as ProgressCallback
from avscene.progress import StageProgress


def progress_bars(*counts: ProgressColumn, redirect_stdout: bool = True) -> Progress:
    """Return bars with counts (of steps, by default), the time that remains and a description."""
    console = Console(stderr=True)
    counts = counts or (MofNCompleteColumn(),)
    columns = (BarColumn(), *counts, TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    return Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=redirect_stdout
    )


@contextmanager
def stage_bars() -> Iterator[StageProgress]:
    """Draw a bar for each stage, one below the other."""
    with progress_bars() as bars:

        def start(stage: str) -> ProgressCallback:
            task = bars.add_task(stage, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield start


@contextmanager
def byte_bar() -> Iterator[StageProgress]:
    """Draw one bar of bytes for the current stage."""
    shared = sys.stdout.isatty()  # otherwise rich would print to standard error what belongs in a redirected file
    with progress_bars(DownloadColumn(), TransferSpeedColumn(), redirect_stdout=shared) as bars:
        task, current = bars.add_task("", total=None), ""

        def show(stage: str, done: int, total: int) -> None:
            nonlocal current
            if stage != current:  # the speed is that of one stage
                bars.reset(task, description=stage)
                current = stage
            bars.update(task, completed=done, total=total)

        yield lambda stage: partial(show, stage)
