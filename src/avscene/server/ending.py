"""Run uvicorn so that the first signal lets the jobs in flight finish, and a second one ends at once."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from avscene.server.connections import PatientProtocol
from avscene.server.services import Services

logger = logging.getLogger(__name__)

FINISH_SECONDS = 7 * 86400.0  # that jobs in flight have after the first signal
GRACE_SECONDS = 5  # that connections have to end after the last job
KEEP_ALIVE_SECONDS = 30
MAX_HEADERS = 2**15  # bytes


class StoppableServer(uvicorn.Server):
    """Serves an application; after the first signal it refuses new jobs, and ends when none runs.

    Until then it answers other requests, so that clients still get their results.
    """

    def __init__(self, app: FastAPI, on_started: Callable[[], Any]) -> None:
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=MAX_HEADERS,
        )
        super().__init__(config)
        self._services: Services = app.state.services
        self._on_started = on_started
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def was_forced(self) -> bool:
        """Whether a second signal ended it, so that jobs that ran are in the queue again."""
        return self._services.at_once.is_set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take SIGHUP, too, which a terminal sends that is closed, unless it is ignored (`nohup`)."""
        found = [number for number in signal.Signals if number.name == "SIGHUP"]  # Windows has none
        taken = [number for number in found if signal.getsignal(number) is not signal.SIG_IGN]
        in_main = threading.current_thread() is threading.main_thread()
        with super().capture_signals():
            before = {number: signal.signal(number, self.handle_exit) for number in taken if in_main}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; the event loop acts on it."""
        del sig, frame
        if self._loop is None:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        services = self._services
        if not services.stopping.is_set():
            services.stopping.set()
            if n_running := services.runner.n_running:
                logger.warning(f"stopping: {n_running} jobs in progress finish first; interrupt again to stop at once")
            threading.Thread(target=self._finish, name="finish jobs", daemon=True).start()
        elif not self.should_exit:
            services.at_once.set()
            self.should_exit = True
            self.config.timeout_graceful_shutdown = 0
            logger.warning("stopping at once: jobs in progress return to the queue")

    def _finish(self) -> None:
        """Wait for the jobs that run, in a thread, which the end of the program does not wait for."""
        self._services.runner.stop(finish=True, timeout=FINISH_SECONDS)
        self.should_exit = True
