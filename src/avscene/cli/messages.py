"""Print the log messages of avscene on standard error, one line each."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from avscene.cli.output.files import printable


class _StandardError(logging.Handler):
    """Prints `avscene: MESSAGE` on the current `sys.stderr`, which a progress bar replaces while it is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"avscene: {printable(record.getMessage())}", file=sys.stderr)


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """Print messages of the logger `avscene` from level INFO on; those of other libraries are not shown."""
    ours, others = logging.getLogger("avscene"), logging.getLogger()
    handler, silence = _StandardError(), logging.NullHandler()
    level, propagate = ours.level, ours.propagate
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False
    others.addHandler(silence)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        others.removeHandler(silence)
        ours.setLevel(level)
        ours.propagate = propagate
