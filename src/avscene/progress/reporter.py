"""Report the stages of long work to where the user sees them."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType

from avscene.progress.displays import Display, Lines, NoDisplay, NotebookBars, TerminalBars, in_notebook
from avscene.progress.status import Status, Unit, time_left

Progress = Callable[[int, int], None]  # called with (steps done, steps in all)
StageProgress = Callable[[str], Progress]  # the name of a stage -> the progress of that stage


def silent(_stage: str) -> Progress:
    """Return a progress that shows nothing."""
    return _ignore


def _ignore(_done: int, _total: int) -> None:
    pass


class Reporter:
    """Shows the progress of stages; a context manager, and a `StageProgress`.

    There are bars in a terminal (on standard error) and in notebooks. Elsewhere, a line is written every half a minute,
    less often in the course of hours. It may be called often, from several threads.

    Args:
        write: writes a line of text where there are no bars.
        unit: what the numbers of done and all count.
        quiet: show nothing.
    """

    def __init__(self, write: Callable[[str], None], *, unit: Unit = "steps", quiet: bool = False) -> None:
        self._unit = unit
        self._display = _display(write, unit, quiet=quiet)
        self._begun: dict[str, tuple[float, int]] = {}  # of stages: when, and what was done already
        self._lock = threading.Lock()

    def __enter__(self) -> "Reporter":
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()

    def __call__(self, stage: str) -> Progress:
        """Show that a stage begins, and return its progress."""
        with self._lock:
            self._begun.pop(stage, None)
            self._display.show(Status(stage, 0, 0, 0, "", "", self._unit))
        return partial(self.show, stage)

    def show(self, stage: str, done: int, total: int, note: str | None = None, detail: str = "") -> None:
        """Show how far a stage is.

        Args:
            stage: its name.
            done: number of steps or bytes that are done.
            total: number of all.
            note: rates or the time left; by default the time left at the rate so far.
            detail: what changes too often for a line, such as the current file.
        """
        now = time.monotonic()
        with self._lock:
            started, before = self._begun.setdefault(stage, (now, done))
            elapsed = now - started
            if note is None:
                note = time_left(done - before, total - before, elapsed)
            self._display.show(Status(stage, done, total, elapsed, note, detail, self._unit))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Remove bars while something is printed in their place."""
        self._display.stop()
        try:
            yield
        finally:
            self._display.start()


@contextmanager
def reporting(progress: bool | StageProgress) -> Iterator[StageProgress]:
    """Yield the progress that the caller of a public function asked for.

    Args:
        progress: False shows nothing. True shows bars in a terminal or a notebook, and lines on standard error
            elsewhere. A function is called with the name of each stage and returns the function that is called with
            the number of steps done and of all.

    Raises:
        TypeError: it is none of these.
    """
    if callable(progress):
        yield progress
    elif progress is True:
        with Reporter(_write_to_stderr) as reporter:
            yield reporter
    elif progress is False:
        yield silent
    else:
        raise TypeError(f"progress is True, False or a function of the name of a stage, not {progress!r}")


def _write_to_stderr(line: str) -> None:
    sys.stderr.write(f"avscene: {line}\n")


def _display(write: Callable[[str], None], unit: Unit, *, quiet: bool) -> Display:
    if quiet:
        return NoDisplay()
    if in_notebook():
        return NotebookBars()
    return TerminalBars(unit) if _is_terminal() else Lines(write)


def _is_terminal() -> bool:
    """Whether standard error is a terminal, by the rules of rich (TERM, FORCE_COLOR, ...)."""
    from rich.console import Console

    return Console(stderr=True).is_terminal
