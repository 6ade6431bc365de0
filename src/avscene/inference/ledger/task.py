"""Classify recordings in an actor and write their outcomes to the ledger."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from avscene.errors import UsageError
from avscene.inference.journal.content import key_of, paths_of, sha256_in_state
from avscene.inference.journal.database import NewRecord
from avscene.inference.journal.outcomes import pack
from avscene.inference.ledger.parts import MARKER, write_part
from avscene.inference.runs.computing import Settings, compute_outcomes
from avscene.inference.runs.remote import ReadyLine, RemoteRecord
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.records import Failure, Prediction
from avscene.storage.retrying import is_waiting

REPORT_SECONDS = 5.0  # between reports while objects are copied


@dataclass(frozen=True, slots=True)
class ClassificationSpec:
    """What an actor needs to classify as the machine does that began the run.

    `folder` is the working directory of that machine, to which paths are relative. `options` are arguments of
    `avscene.load`. `fingerprint` is that of the system and settings; `marker` the content of the file MARKER in
    `ledger`, the directory for the outcomes. With `lines`, each prediction comes with its JSON line.
    """

    folder: Path
    system: str
    options: dict[str, Any]
    settings: Settings
    fingerprint: str
    ledger: Path
    marker: str
    lines: bool

    def __call__(self) -> "ClassificationTask":
        """Load the system.

        Raises:
            UsageError: this node does not see the ledger, or computes with something else.
            AvsceneError: the system cannot be loaded.
        """
        from avscene.inference.loading import load

        here = socket.gethostname()
        try:
            marker = (self.ledger / MARKER).read_text()
        except OSError:
            marker = ""
        if marker != self.marker:
            raise UsageError(f"{here} does not see {self.ledger}; give an --output in a folder that all nodes see")
        try:
            os.chdir(self.folder)
        except OSError as error:
            reason = f"cannot open {self.folder} ({error.strerror})"
            raise UsageError(f"{here} {reason}; begin in a folder that all nodes see") from error
        system = load(self.system, **self.options)
        if self.settings.fingerprint(system) != self.fingerprint:
            raise UsageError(
                f"{here} has another version of avscene or other weights of {self.system}; install the same everywhere"
            )
        return ClassificationTask(system, self.settings, self.ledger, lines=self.lines)


class ClassificationTask:
    """Classifies units of recordings with a system that is loaded once."""

    def __init__(self, system: System, settings: Settings, ledger: Path, *, lines: bool) -> None:
        cores = int(os.environ.get("OMP_NUM_THREADS", "1"))  # Ray sets it to the processors of the actor
        self._system = system
        self._settings = settings if settings.workers else replace(settings, workers=cores)
        self._ledger = ledger
        self._lines = lines

    def run(self, items: Sequence[tuple[int, Source]], report: Callable[[], None], stop: threading.Event) -> str:
        """Classify recordings, given with their positions, and return the name of the file with the outcomes."""
        sources = [source for _, source in items]
        conditions = self._settings.failure_conditions()
        records = []
        with _waits_reported(report):
            for computed in compute_outcomes(self._system, sources, self._settings, stop, lambda *_: report()):
                source, outcome, state = sources[computed.index], computed.outcome, computed.state
                record = NewRecord(
                    key_of(source),
                    state,
                    pack(outcome),
                    conditions if isinstance(outcome, Failure) else None,
                    None if state is None else sha256_in_state(paths_of(source), state),
                )
                line = ReadyLine.of(outcome) if self._lines and isinstance(outcome, Prediction) else None
                records.append(RemoteRecord(record, line))
                report()
        return write_part(self._ledger, records)


@contextmanager
def _waits_reported(report: Callable[[], None]) -> Iterator[None]:
    """Call `report` regularly while an object is copied, which may take long: the process does not hang."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(REPORT_SECONDS):
            if is_waiting():
                report()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
