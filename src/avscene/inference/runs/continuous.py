"""Classify recordings that come one by one for as long as a program runs; each outcome comes as soon as it is ready."""

import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Protocol

import torch

from avscene.errors import AvsceneError, ProcessError
from avscene.inference.journal.outcomes import Outcome
from avscene.inference.reading import BatchReader
from avscene.inference.recordings import predict_unordered
from avscene.inference.runs.computing import Settings
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.records import Failure
from avscene.storage.urls import shown


class Listener(Protocol):
    """Takes what happens to the recordings of a run, by their keys; called from threads of the run."""

    def reached(self, key: str, seconds: float, stated: float | None) -> None:
        """Take the end of the last scored segment, and the duration that the file states, in seconds."""
        ...

    def finished(self, key: str, outcome: Outcome) -> None:
        """Take the outcome of a recording."""
        ...


class ContinuousRun:
    """A run of one system over recordings that are submitted at any time, several of them decoded at a time.

    None waits for another, and they take turns where they need the same model. Worker processes decode them; one that
    crashes or hangs costs its recording alone.

    Args:
        system: the system that classifies.
        settings: how recordings are decoded; `program` is that of each `Source`.
        listener: takes progress and outcomes.

    Attributes:
        system: as given.

    Raises:
        UsageError: the system does not support these settings.
    """

    def __init__(self, system: System, settings: Settings, listener: Listener) -> None:
        self.system = system
        self._listener = listener
        self._n_threads = torch.get_num_threads()  # in this thread; in others torch has other settings
        self._submitted: queue.SimpleQueue[tuple[str, Source] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # guards all of the following
        self._keys: dict[int, str] = {}  # of recordings that are read or scored, by position
        self._pending: dict[str, Source] = {}  # without an outcome
        self._cancelled: set[str] = set()
        self._error: AvsceneError | None = None  # that ended the run
        self._reader = BatchReader(
            self._sources(),
            system.sampling(settings.hop, keyframes=settings.keyframes),
            settings.decoder,
            content=system.content,
            limits=settings.limits,
            workers=settings.workers,
            in_order=False,
        )
        self._thread = threading.Thread(target=self._run, name=f"classify with {system.name}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether recordings can be submitted."""
        with self._lock:
            return self._error is None

    def submit(self, key: str, source: Source) -> None:
        """Have a recording classified; its outcome comes to the listener with this key."""
        with self._lock:
            error = self._error
            if error is None:
                self._pending[key] = source
                self._submitted.put((key, source))
        if error is not None:
            self._listener.finished(key, Failure(shown(source.path), error))

    def cancel(self, key: str) -> None:
        """Stop a recording: it fails soon, unless its outcome is ready."""
        with self._lock:
            if key not in self._pending:
                return
            self._cancelled.add(key)
            positions = [position for position, other in self._keys.items() if other == key]
        for position in positions:
            self._reader.cancel(position)

    def close(self) -> None:
        """Wait until all recordings have an outcome, and end the run."""
        self._submitted.put(None)
        self._thread.join()

    def _sources(self) -> Iterator[Source]:
        """Yield what is submitted; called by the threads of the reader, one at a time."""
        position = 0
        while (item := self._submitted.get()) is not None:
            key, source = item
            with self._lock:
                self._keys[position] = key
                is_cancelled = key in self._cancelled
            if is_cancelled:
                self._reader.cancel(position)
            position += 1
            yield source

    def _run(self) -> None:
        error: AvsceneError = ProcessError(f"system {self.system.name}: its run has ended")
        torch.set_num_threads(self._n_threads)
        try:
            with closing(predict_unordered(self.system.predictor, self._reader, self._report)) as outcomes:
                for position, (source, outcome) in outcomes:
                    if isinstance(outcome, AvsceneError):
                        self._finish(position, Failure(shown(source.path), outcome))
                    else:
                        self._finish(position, outcome)
        except AvsceneError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  # a fault of a model or of this program: its recordings fail with it
            error = ProcessError(f"system {self.system.name}: failed ({type(raised).__name__}: {raised})")
        self._fail_pending(error)

    def _report(self, position: int, seconds: float) -> None:
        with self._lock:
            key = self._keys[position]
        self._listener.reached(key, seconds, self._reader.stated_duration(position))

    def _finish(self, position: int, outcome: Outcome) -> None:
        with self._lock:
            key = self._keys.pop(position)
            self._pending.pop(key, None)
            self._cancelled.discard(key)
        self._listener.finished(key, outcome)

    def _fail_pending(self, error: AvsceneError) -> None:
        """Give the error that ended the run to all recordings without an outcome."""
        with self._lock:
            self._error = error
            pending, self._pending = self._pending, {}
            self._keys.clear()
            self._cancelled.clear()
        for key, source in pending.items():
            self._listener.finished(key, Failure(shown(source.path), error))
