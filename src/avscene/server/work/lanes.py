"""Run jobs that have the same system and settings together, so that the system is loaded once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Set
from functools import partial

from avscene.errors import AvsceneError, ProcessError
from avscene.inference.runs.computing import Settings
from avscene.inference.runs.continuous import ContinuousRun, Listener
from avscene.inference.sources import Source
from avscene.inference.system import System
from avscene.media.limits import Limits
from avscene.records import Failure
from avscene.server.jobs.record import Job
from avscene.server.work.systems import LoadedSystems

MAX_LANES = 3  # that are in use or wait for jobs, each with its worker processes; those used longest ago end

_Key = tuple[str, tuple[str, ...] | None, float | None, bool]


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


class Lanes:
    """The lanes of a server, one for each system with its settings; to be used by one thread at a time.

    Args:
        systems: loads the systems.
        limits: limits of a recording.
        workers: number of recordings that a lane decodes at a time.
        listener: takes progress and outcomes.
    """

    def __init__(self, systems: LoadedSystems, limits: Limits, workers: int, listener: Listener) -> None:
        self._systems = systems
        self._limits, self._workers = limits, workers
        self._listener = listener
        self._lanes: OrderedDict[_Key, Lane] = OrderedDict()

    def has_room(self, job: Job, used: Set[Lane]) -> bool:
        """Return whether a job can run with at most MAX_LANES lanes in use; `used` are those of running jobs."""
        lane = self._lanes.get(_key(job))
        return len(used) < MAX_LANES or (lane is not None and lane in used and not lane.has_failed)

    def get(self, job: Job, used: Set[Lane]) -> Lane:
        """Return the lane of a job; others end if there are too many, but none of `used`, those of running jobs."""
        request, key = job.request, _key(job)
        if key in self._lanes and self._lanes[key].has_failed:
            self._lanes.pop(key).close()
        if key not in self._lanes:
            settings = Settings(request.hop, request.keyframes, limits=self._limits, workers=self._workers)
            load = partial(self._systems.get, request.system, request.labels)
            self._lanes[key] = Lane(load, settings, self._listener)
        self._lanes.move_to_end(key)
        idle = [other for other, lane in self._lanes.items() if other != key and lane not in used]
        for other in idle[: max(0, len(self._lanes) - MAX_LANES)]:
            self._lanes.pop(other).close()
        return self._lanes[key]

    def close(self) -> list[threading.Thread]:
        """Let all lanes end in the background, and return the threads that wait for that."""
        threads = [lane.close() for lane in self._lanes.values()]
        self._lanes.clear()
        return threads


def _key(job: Job) -> _Key:
    """Return what jobs that run together have in common."""
    request = job.request
    return request.system, request.labels, request.hop, request.keyframes
