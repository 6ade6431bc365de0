"""Progress bars on standard error, drawn on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def progress_bar() -> Progress:
    """A bar with counts, the time that remains and what is being done."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def stages() -> Iterator[Callable[[str], Callable[[int, int], None]]]:
    """Bars for named stages, one below the other; each is told (done, total)."""
    with progress_bar() as progress:

        def watch(stage: str) -> Callable[[int, int], None]:
            task = progress.add_task(stage, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total)

        yield watch


@contextmanager
def byte_bar() -> Iterator[Callable[[str, int, int], None]]:
    """One bar for what is being done now; it is told (what, bytes done, bytes in all)."""
    console = Console(stderr=True)
    text = TextColumn("{task.description}", markup=False)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(), text)
    shared = sys.stdout.isatty()  # else what is printed meanwhile would end here and not in its file
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=shared
    ) as progress:
        task, current = progress.add_task("", total=None), ""

        def tell(what: str, done: int, total: int) -> None:
            nonlocal current
            if what != current:  # speed is that of one thing at a time
                progress.reset(task, description=what)
                current = what
            progress.update(task, completed=done, total=total)

        yield tell
