"""Serve archives on loopback, with the faults that real servers have; make small archives in the layout of TAU."""

import contextlib
import hashlib
import io
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType

from avscene.datasets.tau.archives import Archive, ArchiveKind, PublishedDataSet

# What happens to a request. The connection ends half-way ("cut") or before the first byte ("dropped"); Range is
# ignored ("no ranges"); a byte is "changed"; the promised length is too long ("promises more"), or none is given and
# the file goes on ("endless") or ends early ("short"); the answer 206 is for other bytes ("other range", "other total",
# "no content range") or was not asked for ("unasked 206"); a "login" page; another encoding ("gzip"); a redirect "to
# http" or in a "circle"; a "stall" half-way; or a status such as "404".
Fault = str


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip file of these members."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def published(contents: dict[str, tuple[ArchiveKind, bytes]], source: str, prefix: str = "TAU-x") -> PublishedDataSet:
    """Return a data set published at `source` with these archives, by labels such as audio.1.zip."""
    archives = tuple(
        Archive(
            kind=kind,
            name=f"{prefix}.{label}",
            bytes=len(content),
            md5=hashlib.md5(content).hexdigest(),
        )
        for label, (kind, content) in contents.items()
    )
    return PublishedDataSet(title="Small scenes", page="https://scenes.example/1", source=source, archives=archives)


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that left, which many tests are about; report anything else."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class ArchiveServer:
    """`with ArchiveServer() as server: server.files["a.zip"] = ...`; `server.url` is the source.

    Each of `faults` applies to one request, in their order; `fault` applies to all others.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.fault: Fault | None = None
        self.requests: list[tuple[str, str | None]] = []  # name and Range
        self.stalled = Event()  # set once a stalling answer has been sent as far as it goes
        self.released = Event()  # ends stalling answers
        archive_server = self

        class Handler(_Handler):
            host = archive_server

        self._server = _Listener(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/files/"

    def offer(self, contents: dict[str, tuple[ArchiveKind, bytes]], prefix: str = "TAU-x") -> PublishedDataSet:
        """Serve these archives; return them as a published data set."""
        self.files |= {f"{prefix}.{label}": content for label, (_, content) in contents.items()}
        return published(contents, self.url, prefix)

    def __enter__(self) -> "ArchiveServer":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: ArchiveServer

    def do_GET(self) -> None:
        host, name = self.host, self.path.rpartition("/")[2]
        host.requests.append((name, self.headers.get("Range")))
        fault = host.faults.pop(0) if host.faults else host.fault
        with contextlib.suppress(OSError):  # the client has gone
            self._answer(name, fault)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _answer(self, name: str, fault: Fault | None) -> None:
        content = self.host.files.get(name)
        if fault == "dropped":
            self.close_connection = True
        elif fault == "login":
            self._send(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Please log in</html>")
        elif fault == "to http":
            self._send(302, {"Location": f"http://192.0.2.1/{name}"}, b"")
        elif fault == "circle":
            self._send(302, {"Location": self.path}, b"")
        elif fault is not None and fault.isdecimal():
            self._send(int(fault), {"Retry-After": "0"}, b"")
        elif content is None:
            self._send(404, {}, b"")
        else:
            self._transfer(content, fault)

    def _transfer(self, content: bytes, fault: Fault | None) -> None:
        asked = self.headers.get("Range")
        first = int(asked.removeprefix("bytes=").split("-")[0]) if asked and fault != "no ranges" else 0
        total = len(content)
        if first >= total:
            self._send(416, {"Content-Range": f"bytes */{total}"}, b"")
            return
        begins = first + (1 if fault == "other range" else 0)
        size = total + (1 if fault == "other total" else 0)
        ranged = {"Content-Range": f"bytes {begins}-{total - 1}/{size}"} if first else {}
        if fault == "no content range":
            ranged = {}
        status = 206 if first or fault == "unasked 206" else 200
        body = content[begins:]
        if fault == "changed":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault == "gzip":
            ranged["Content-Encoding"] = "gzip"
        if fault == "stall":
            self._send(status, ranged, body[: len(body) // 2], promised=len(body))
            self.host.stalled.set()
            self.host.released.wait()
            self.close_connection = True
        elif fault == "cut":
            self.close_connection = True
            self._send(status, ranged, body[: len(body) // 2], promised=len(body))
        elif fault == "promises more":
            self._send(status, ranged, body, promised=len(body) + 1000)
        elif fault in ("endless", "short"):
            self._chunked(status, ranged, body + bytes(100_000) if fault == "endless" else body[: len(body) // 2])
        else:
            self._send(status, ranged, body)

    def _send(self, status: int, headers: dict[str, str], body: bytes, promised: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)

    def _chunked(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(0, len(body), 50_000):
            piece = body[at : at + 50_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
