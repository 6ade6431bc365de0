"""Show progress on standard error: bars on a terminal, otherwise a line now and then for a long run."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

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

from avscene.cli.output.timeline import short_time
from avscene.progress import Progress as ProgressCallback
from avscene.progress import StageProgress

if TYPE_CHECKING:
    from avscene.inference.resumable import Classified

logger = logging.getLogger(__name__)

LINE_SECONDS = 30.0  # between two lines where there is no terminal


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


class RunMeter:
    """Counts of a run over many recordings: done, taken from the journal, failed by kind; and its rates.

    `media` is the duration of the recordings that this run computed, in seconds.
    """

    def __init__(self, n_files: int) -> None:
        self.n_files = n_files
        self.n_reused = 0
        self.n_computed = 0
        self.media = 0.0
        self.failed: Counter[str] = Counter()  # by the kind of the error
        self._started = time.monotonic()

    @property
    def n_done(self) -> int:
        """Number of recordings that have an outcome."""
        return self.n_reused + self.n_computed

    @property
    def n_failed(self) -> int:
        """Number of recordings whose outcome is a failure."""
        return self.failed.total()

    def count(self, classified: "Classified") -> None:
        """Count a recording."""
        if classified.failure is not None:
            self.failed[classified.failure.error.kind] += 1
        if classified.reused:
            self.n_reused += 1
        else:
            self.n_computed += 1
            self.media += classified.duration

    def rates(self) -> str:
        """Return files per second and media per time, of what this run computed."""
        elapsed = max(time.monotonic() - self._started, 1e-3)
        return f"{self.n_computed / elapsed:.1f} files/s, {self.media / elapsed:.1f} hours of media per hour"

    def time_left(self) -> str:
        """Return the time that the other recordings take at the rate so far, as text; empty before the first."""
        if not self.n_computed:
            return ""
        elapsed = time.monotonic() - self._started
        return f", {short_time(elapsed / self.n_computed * (self.n_files - self.n_done))} left"

    def log_summary(self) -> None:
        """Log the counts of a run over more than one recording."""
        if self.n_files < 2:
            return
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.failed.items()))
        failed = f"{self.n_failed} failed ({kinds})" if kinds else "0 failed"
        reused = f", {self.n_reused} known from the journal" if self.n_reused else ""
        rates = f"; {self.rates()}" if self.n_computed else ""
        logger.info(f"{self.n_done - self.n_failed} of {self.n_files} recordings done, {failed}{reused}{rates}")


class RunProgress:
    """A context manager that shows the counts of a run: a bar on a terminal, else a line every LINE_SECONDS."""

    def __init__(self, meter: RunMeter) -> None:
        self._meter = meter
        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        self._bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bars.add_task("", total=meter.n_files)
        self._last_line = time.monotonic()

    def __enter__(self) -> "RunProgress":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, current: str = "") -> None:
        """Show the counts and what is being done; may be called often."""
        meter = self._meter
        if not self._bars.disable:
            rates = f"{meter.rates()}{meter.time_left()}  " if meter.n_computed else ""
            self._bars.update(self._task, completed=meter.n_done, description=rates + current)
        elif time.monotonic() - self._last_line >= LINE_SECONDS:
            self._last_line = time.monotonic()
            logger.info(f"{meter.n_done} of {meter.n_files} files, {meter.rates()}{meter.time_left()}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Remove the bar while something is printed in its place."""
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()
