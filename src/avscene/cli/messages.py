"""Print the log messages of avscene on standard error, one line each."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from avscene.cli.output.files import CONTINUES, printable
from avscene.errors import UsageError

__all__ = [
    "CONTINUES",
    "InterruptionError",
    "explain_interruption",
    "is_quiet",
    "log_skipped",
    "log_traceback",
    "messages_on_stderr",
    "set_verbosity",
]


class InterruptionError(Exception):
    """The user interrupted a command (Ctrl-C); the message says what is done so far and how to continue."""


class _StandardErrorHandler(logging.Handler):
    """Prints `avscene: MESSAGE` on the current `sys.stderr`, which a progress bar replaces while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"avscene: {printable(record.getMessage())}", file=sys.stderr)


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Print messages of the logger `avscene` from level INFO on; messages of other libraries are not shown."""
    ours, root = logging.getLogger("avscene"), logging.getLogger()
    handler, silence = _StandardErrorHandler(), logging.NullHandler()
    level, propagate = ours.level, ours.propagate
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    root.addHandler(silence)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        root.removeHandler(silence)
        ours.setLevel(level)
        ours.propagate = propagate


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Show only warnings and errors if `quiet`, also messages of level DEBUG if `verbose`."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other; leave one of them out")
    if quiet or verbose:
        logging.getLogger("avscene").setLevel(logging.WARNING if quiet else logging.DEBUG)


def is_quiet() -> bool:
    """Return whether progress and other messages below a warning are not to be shown."""
    return not logging.getLogger("avscene").isEnabledFor(logging.INFO)


def log_traceback(error: BaseException) -> None:
    """Log where an error arose, for `--verbose`."""
    for text in traceback.format_exception(error):
        for line in text.rstrip().splitlines():
            logging.getLogger(__name__).debug(line)


@contextmanager
def explain_interruption(explanation: Callable[[], str] | str) -> Iterator[None]:
    """Raise `InterruptionError` with an explanation in place of `KeyboardInterrupt`."""
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptionError(explanation if isinstance(explanation, str) else explanation()) from None


def log_skipped(logger: logging.Logger, failures: Iterable[str]) -> None:
    """Log each recording that could not be used, with the reason."""
    for failure in failures:
        logger.warning(f"skipped: {failure}")
