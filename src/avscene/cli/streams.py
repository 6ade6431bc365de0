"""Make the standard streams of a process usable: closed ones, full disks behind them, and writing errors."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from avscene.errors import AvsceneError

STDOUT, STDERR = 1, 2  # numbers of the open files


class StandardOutputError(AvsceneError):
    """Standard output is closed or full, or cannot be written for another reason."""


class _StandardOutput(io.TextIOWrapper):
    """Standard output whose errors name it; the end of a pipe's reader stays a BrokenPipeError."""

    def write(self, text: str) -> int:
        with _named_errors():
            return super().write(text)

    def flush(self) -> None:
        with _named_errors():
            super().flush()


class _StandardError(io.TextIOWrapper):
    """Standard error on which messages are lost if it cannot be written: there is nowhere to report that."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = "is closed" if error.errno == errno.EBADF else f"cannot be written ({error.strerror or error})"
        raise StandardOutputError(f"standard output: {problem}") from error


def make_streams_usable() -> None:
    """Replace the standard streams of this process by ones that can always be used.

    The numbers 0 to 2 of closed streams are taken, so that no file that is opened later gets one of them and receives
    what is printed. Writing to a closed standard output is an error, messages for a closed standard error are dropped,
    and a closed standard input stays None.
    """
    _occupy_numbers()
    sys.stdout = _wrapped(sys.stdout, STDOUT, _StandardOutput)
    sys.stderr = _wrapped(sys.stderr, STDERR, _StandardError)


def _occupy_numbers() -> None:
    while True:
        number = os.open(os.devnull, os.O_RDONLY)  # the lowest that is free
        if number > STDERR:
            os.close(number)
            return


def _wrapped(stream: TextIO | None, number: int, kind: type[io.TextIOWrapper]) -> TextIO:
    if stream is None:
        return kind(open(number, "wb", closefd=False), encoding="utf-8")  # used to the end
    if type(stream) is not io.TextIOWrapper:  # replaced by a notebook or a test
        return stream
    return kind(
        stream.buffer,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def abandon_output() -> None:
    """Drop what standard output could not write, so that the end of the process does not try again."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STDOUT)
    os.close(null)
