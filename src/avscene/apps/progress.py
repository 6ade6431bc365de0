"""Progress bars on standard error, drawn on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


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
