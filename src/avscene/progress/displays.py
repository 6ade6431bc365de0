"""Show the status of stages: as bars in a terminal or a notebook, or as lines."""

import html
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from avscene.progress.status import Status, Unit

if TYPE_CHECKING:
    from rich.progress import TaskID

LINE_SECONDS, MAX_LINE_SECONDS = 30.0, 600.0  # between two lines: a tenth of the time so far, within these
REFRESH_SECONDS = 0.2  # between two changes of a notebook, which are messages to a browser


class Display(Protocol):
    """Shows status; it may be stopped and started again."""

    def start(self) -> None:
        """Begin to show."""

    def stop(self) -> None:
        """Stop showing, and make room for other output."""

    def show(self, status: Status) -> None:
        """Show the status of a stage in place of its earlier one."""


class NoDisplay:
    """Shows nothing."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def show(self, status: Status) -> None:
        """Do nothing."""


class Lines:
    """Writes a line now and then, and a last one for each stage of which a line was written."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._started = self._last = time.monotonic()
        self._written: set[str] = set()  # stages

    def start(self) -> None:
        """Do nothing: lines need no room."""

    def stop(self) -> None:
        """Do nothing: lines need no room."""

    def show(self, status: Status) -> None:
        """Write a line if the last one was long ago, or if a stage of which lines were written is complete."""
        if not status.total:
            return
        now = time.monotonic()
        wait = min(max(LINE_SECONDS, (now - self._started) / 10), MAX_LINE_SECONDS)
        if status.is_complete and status.stage in self._written:
            self._written.remove(status.stage)
        elif now - self._last >= wait:
            self._written |= set() if status.is_complete else {status.stage}
        else:
            return
        self._last = now
        self._write(status.line())


class TerminalBars:
    """Draws a bar for each stage on standard error, one below the other; of bytes, one for the current stage."""

    def __init__(self, unit: Unit) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TransferSpeedColumn as Speed

        counts = (MofNCompleteColumn(),) if unit == "steps" else (DownloadColumn(), Speed())
        self._bars = Progress(
            BarColumn(),
            *counts,
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # rich would print to standard error what belongs in a file
        )
        self._unit = unit
        self._tasks: dict[str, TaskID] = {}

    def start(self) -> None:
        """Draw the bars."""
        self._bars.start()

    def stop(self) -> None:
        """Remove the bars."""
        self._bars.stop()

    def show(self, status: Status) -> None:
        """Draw the bar of a stage."""
        description = "  ".join(filter(None, (", ".join(filter(None, (status.stage, status.note))), status.detail)))
        if status.stage not in self._tasks:
            if self._unit == "bytes" and self._tasks:  # the speed is that of one stage
                _, task = self._tasks.popitem()
                self._bars.reset(task)
            else:
                task = self._bars.add_task("", total=None)
            self._tasks[status.stage] = task
        task = self._tasks[status.stage]
        self._bars.update(task, completed=status.done, total=status.total or None, description=description)


class NotebookBars:
    """Draws a bar for each stage below the cell of a notebook, one below the other; they stay there."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._stages: dict[str, Status] = {}
        self._last = 0.0

    def start(self) -> None:
        """Do nothing: the first status makes the bars."""

    def stop(self) -> None:
        """Draw the last status."""
        self._draw()

    def show(self, status: Status) -> None:
        """Draw the bar of a stage, unless the bars were drawn just now."""
        known = self._stages.get(status.stage)
        self._stages[status.stage] = status
        if known is None or status.is_complete or time.monotonic() - self._last >= REFRESH_SECONDS:
            self._draw()

    def _draw(self) -> None:
        if not self._stages:
            return
        from IPython.display import display  # it is there in a notebook

        rows = [(status, " ".join(filter(None, (status.line(), status.detail)))) for status in self._stages.values()]
        content = {
            "text/plain": "\n".join(text for _, text in rows),
            "text/html": "".join(
                f'<div><progress {_position(status)} style="vertical-align: middle"></progress> '
                f"{html.escape(text)}</div>"
                for status, text in rows
            ),
        }
        self._last = time.monotonic()
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def _position(status: Status) -> str:
    """Attributes of HTML's `progress`; without them it shows that something goes on."""
    return f'value="{status.done}" max="{status.total}"' if status.total else ""


def in_notebook() -> bool:
    """Return whether this is a cell of a notebook; IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")  # a notebook has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")
