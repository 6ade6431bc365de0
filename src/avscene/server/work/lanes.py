"""Run jobs that have the same system and settings together, so that the system is loaded once."""

import threading
from collections.abc import Callable

from avscene.errors import AvsceneError, ProcessError
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.continuous import ContinuousRun, Listener
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.records import Failure


class Lane:
    """The run of one system, which a thread loads first; jobs that are submitted meanwhile wait.

    Args:
        load: loads the system.
        settings: how recordings are decoded.
        listener: takes progress and outcomes; all jobs fail if the system cannot be loaded.
    """

    def __init__(self, load: Callable[[], System], settings: Settings, listener: Listener) -> None:
        self._load = load
        self._settings = settings
        self._listener = listener
        self._lock = threading.Lock()  # guards all of the following
        self._waiting: dict[str, Source] = {}  # until the system is loaded
        self._run: ContinuousRun | None = None
        self._error: AvsceneError | None = None
        self._loader = threading.Thread(target=self._begin, name="load a system", daemon=True)
        self._loader.start()

    @property
    def has_failed(self) -> bool:
        """Whether the system cannot be loaded, or its run has ended: a later job needs a new lane."""
        with self._lock:
            return self._error is not None or (self._run is not None and not self._run.is_running)

    @property
    def system(self) -> System | None:
        """The system, once it is loaded."""
        with self._lock:
            return None if self._run is None else self._run.system

    def submit(self, key: str, source: Source) -> None:
        """Have a recording classified."""
        with self._lock:
            run, error = self._run, self._error
            if run is None and error is None:
                self._waiting[key] = source
                return
        if run is not None:
            run.submit(key, source)
        elif error is not None:
            self._listener.finished(key, Failure(str(source.path), error))

    def cancel(self, key: str) -> None:
        """Stop a recording: it fails soon, unless its outcome is ready."""
        with self._lock:
            run, waiting = self._run, self._waiting.pop(key, None)
        if waiting is not None:
            self._listener.finished(key, Failure(str(waiting.path), ProcessError("cancelled")))
        elif run is not None:
            run.cancel(key)

    def close(self) -> threading.Thread:
        """Let the run end in the background, once all its recordings have an outcome; return the thread that waits."""
        thread = threading.Thread(target=self._end, name="end a run", daemon=True)
        thread.start()
        return thread

    def _end(self) -> None:
        self._loader.join()
        with self._lock:
            run = self._run
        if run is not None:
            run.close()

    def _begin(self) -> None:
        run: ContinuousRun | None = None
        error: AvsceneError | None = None
        try:
            run = ContinuousRun(self._load(), self._settings, self._listener)
        except AvsceneError as raised:
            error = raised
        except Exception as raised:  # noqa: BLE001  # a fault of a library costs the jobs that need it
            error = ProcessError(f"the system cannot be loaded ({type(raised).__name__}: {raised})")
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            self._run, self._error = run, error
        for key, source in waiting.items():
            self.submit(key, source)
