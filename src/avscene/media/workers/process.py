"""Start, keep and end worker processes, and exchange messages with one."""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from signal import SIGKILL

from avscene.cores import threads_for, usable_cores
from avscene.errors import WeightsError
from avscene.media.workers.messages import DamagedMessageError, Message, MessageReader, StalledError

COMMAND = (sys.executable, "-P", "-m", "avscene.media.workers")  # -P: no modules from the working directory
PIPE_BYTES = 2**20  # the largest pipe that Linux gives to every user; more fits in at a time than the default of 64 KiB
MAX_WORKERS = 8
MAX_RECORDINGS = 500  # after these a worker is replaced: what native code leaks does not add up
EXIT_SECONDS = 10.0  # that a process has to end after it closed its pipe


class WorkerDiedError(Exception):
    """A worker process ended or wrote damaged data; the message says what happened."""


class WorkerStalledError(WorkerDiedError):
    """A worker process made no progress for too long."""


class WorkerProcess:
    """One worker process. It ends when it is killed or when this process ends."""

    def __init__(self) -> None:
        read_end, write_end = os.pipe()
        try:
            _enlarge(write_end)
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [*COMMAND, str(write_end)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(write_end,),
                env=_environment(),
                start_new_session=True,  # Ctrl-C in a terminal is for this process, which ends the workers itself
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._descriptor = read_end
        self._messages = MessageReader(read_end)
        self.n_recordings = 0

    def send(self, request: Message) -> None:
        """Send a request.

        Raises:
            WorkerDiedError: the process has ended.
        """
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            raise WorkerDiedError(self._how_it_ended()) from None

    def receive(self, timeout: float) -> tuple[Message, bytearray]:
        """Return the header and the payload of the next message that is more than a sign of progress.

        Raises:
            WorkerDiedError: the process has ended, or wrote something else than a message.
            WorkerStalledError: it wrote nothing for `timeout` seconds, and was killed.
        """
        try:
            while True:
                header, payload = self._messages.read(timeout)
                if header.get("type") != "progress":
                    return header, payload
        except EOFError:
            raise WorkerDiedError(self._how_it_ended()) from None
        except DamagedMessageError:
            self.kill()
            raise WorkerDiedError("the decoder returned damaged data") from None
        except StalledError:
            self.kill()
            raise WorkerStalledError(f"the decoder made no progress for {timeout:g} s and was stopped") from None

    def kill(self) -> None:
        """End the process at once. May be called from any thread, and more than once."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """End the process and free its pipes. To be called once, by the thread that uses it."""
        self.kill()
        self._process.wait()
        os.close(self._descriptor)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "the decoder stopped answering"
        if code == -SIGKILL:
            return "the decoder was killed (signal 9), perhaps because memory ran out"
        return f"the decoder crashed (signal {-code})" if code < 0 else f"the decoder ended (exit code {code})"


class _IdleWorkers:
    """Worker processes that wait for their next recording."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._workers: list[WorkerProcess] = []

    def take(self) -> WorkerProcess:
        while True:
            with self._lock:
                worker = self._workers.pop() if self._workers else None
            if worker is None:
                return _start()
            if worker.is_running:
                return worker
            worker.close()

    def put(self, worker: WorkerProcess) -> None:
        worker.n_recordings += 1
        if worker.n_recordings >= MAX_RECORDINGS:
            worker.close()
            return
        with self._lock:
            self._workers.append(worker)

    def start(self, count: int) -> None:
        with self._lock:
            while len(self._workers) < count:
                self._workers.append(_start())

    def close(self) -> None:
        with self._lock:
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()

    def forget(self) -> None:
        """In a forked child: the workers belong to the parent, which may have held the lock."""
        self._lock, self._workers = threading.Lock(), []


_idle = _IdleWorkers()
atexit.register(_idle.close)
os.register_at_fork(after_in_child=_idle.forget)

take_worker = _idle.take
put_back = _idle.put


def default_workers() -> int:
    """Return the number of recordings to decode at a time: one for each usable core, at most MAX_WORKERS."""
    return min(usable_cores(), MAX_WORKERS)


def decoder_threads(workers: int) -> int:
    """Return the number of threads for each of `workers` that decode at a time, so that together they fill the cores.

    A worker that has one core decodes in one thread.
    """
    return threads_for(usable_cores() // max(1, workers))


def start_workers(count: int) -> None:
    """Start worker processes that will be needed soon, so that they load their libraries meanwhile."""
    _idle.start(count)


def _start() -> WorkerProcess:
    try:
        return WorkerProcess()
    except OSError as error:
        raise WeightsError(f"no process for decoding can be started ({error.strerror}); run: avscene doctor") from None


def _environment() -> dict[str, str]:
    """Return an environment in which the worker imports this very package."""
    package = str(Path(__file__).parents[3])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _enlarge(pipe: int) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only, and limited for each user
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
