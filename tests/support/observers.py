"""Observe from outside what a program reads: files that are opened in a folder, and connections to a server."""

import ctypes
import os
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IN_OPEN, IN_Q_OVERFLOW = 0x20, 0x4000
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows


class OpenedFiles:
    """The names of the files in a folder that any process opens while this is active (Linux's inotify)."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._folder = folder

    def __enter__(self) -> "OpenedFiles":
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK)
        watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(self._folder), IN_OPEN)
        assert min(self._descriptor, watch) >= 0, os.strerror(ctypes.get_errno())
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def names(self) -> set[str]:
        """Return the names since the last call; "" is the folder itself."""
        found = set()
        while True:
            try:
                content = os.read(self._descriptor, 2**16)
            except BlockingIOError:
                return found
            start = 0
            while start < len(content):
                _, mask, _, length = _EVENT.unpack_from(content, start)
                assert not mask & IN_Q_OVERFLOW, "events were lost"
                name = content[start + _EVENT.size : start + _EVENT.size + length].rstrip(b"\0")
                found.add(os.fsdecode(name))
                start += _EVENT.size + length


class CountingServer:
    """An HTTP server on loopback that answers every request with a file; `connections` counts all, HTTP or not."""

    def __init__(self, content: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            connections = 0

            def get_request(self):  # type: ignore[no-untyped-def]
                self.connections += 1
                return super().get_request()

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "CountingServer":
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def connections(self) -> int:
        """How many connections were made."""
        return self._server.connections
