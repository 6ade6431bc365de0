"""Turn the signals that end a program into an orderly end: what is finished is kept, the exit code is 130."""

import _thread
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 0.5  # until a message says that an interruption was noticed
GRACE_SECONDS = 5.0  # for the recordings in flight after the first signal
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP

Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `KeyboardInterrupt`, as SIGINT does, unless they are ignored (`nohup`).

    A message is logged if the program has not ended ANSWER_SECONDS later.
    """
    ended = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        threading.Thread(target=_answer, args=(ended,), daemon=True).start()
        signal.default_int_handler(number, frame)  # raises

    with _handled(handle):
        try:
            yield
        finally:
            ended.set()


def _answer(ended: threading.Event) -> None:
    if not ended.wait(ANSWER_SECONDS):
        logger.warning("stopping: the step in progress ends first")


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that the first signal sets; `KeyboardInterrupt` is raised GRACE_SECONDS later, or by a second one.

    In a thread other than the main one, signals do nothing here.
    """
    stop, ended = threading.Event(), threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)  # raises
        stop.set()
        # A thread prints the message: the main thread may be about to print, and cannot print twice at once.
        threading.Thread(target=_interrupt_later, args=(number, ended), daemon=True).start()

    with _handled(handle):
        try:
            yield stop
        finally:
            ended.set()


def _interrupt_later(number: int, ended: threading.Event) -> None:
    logger.warning(
        f"stopping: recordings in progress have {GRACE_SECONDS:g} s to finish; interrupt again to stop at once"
    )
    if ended.wait(GRACE_SECONDS):
        return
    if hasattr(signal, "pthread_kill"):  # ends a wait of the main thread, too
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


@contextmanager
def _handled(handler: Handler) -> Iterator[None]:
    """Set a handler for the signals that are not ignored, and set the earlier ones at the end."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            if earlier is not None:  # it was not set by Python
                signal.signal(number, earlier)
