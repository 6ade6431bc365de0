"""Run the server in a thread of this process, on a free port of loopback."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from avscene.server.app import create_app
from avscene.server.ending import StoppableServer
from avscene.server.services import Services
from avscene.server.settings import ServerSettings

STARTS_WITHIN = 60.0  # seconds


@dataclass(frozen=True)
class Live:
    """A server that answers at `url`, and a client of it; `server.handle_exit(15, None)` is what a signal does."""

    url: str
    port: int
    client: httpx.Client
    server: StoppableServer
    thread: threading.Thread
    services: Services

    @property
    def directory(self) -> Path:
        """The directory of the jobs."""
        return self.services.settings.directory

    def files(self) -> list[str]:
        """The names of all files of jobs, also hidden ones; directories may disappear meanwhile."""
        return sorted(name for _, _, names in os.walk(self.directory / "jobs") for name in names)


@contextmanager
def live_server(settings: ServerSettings) -> Iterator[Live]:
    """Serve until the end of the block, or until a signal; jobs that run then return to the queue."""
    app, started = create_app(settings), threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = StoppableServer(app, started.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert started.wait(STARTS_WITHIN)
        url = f"http://127.0.0.1:{port}"
        try:
            with httpx.Client(base_url=url, timeout=60) as client:
                yield Live(url, port, client, server, thread, app.state.services)
        finally:
            server.should_exit = True
            thread.join()


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until `condition()` holds; fail if it does not in this time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
