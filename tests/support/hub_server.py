"""A Hugging Face hub on loopback for huggingface_hub, which can also fail in several ways."""

import contextlib
import hashlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Literal

import pytest

COMMIT, NEXT_COMMIT = (hashlib.sha1(name).hexdigest() for name in (b"small hub", b"small hub, later"))
LARGE = ".safetensors"  # what the hub keeps in its large file store, by SHA-256

# "cut" ends each transfer half-way, "cut-once" only the first; "damaged" sends bytes that do not fit the checksum;
# "short" announces more bytes than it sends; "portal" answers every request with a web page; "trickle" never ends its
# headers; "moving" gets a new commit after the first small file.
Fault = Literal["http-500", "cut", "cut-once", "damaged", "short", "portal", "trickle", "moving"]


class HubServer:
    """`with HubServer() as server: server.add("owner/name", directory)`; `server.url` is its HF_ENDPOINT."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.requests: Counter[str] = Counter()  # by "METHOD file name"
        self.fault: Fault | None = None
        self.commit = COMMIT  # of main
        self.stopped = Event()
        hub = self

        class Handler(_Handler):
            server_of_files = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def add(self, repo_id: str, directory: Path) -> None:
        """Offer the files of `directory` as those of `repo_id`."""
        self.repos[repo_id] = {path.name: path.read_bytes() for path in directory.iterdir()}

    def stop(self) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> "HubServer":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def use_hub(server: HubServer, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make huggingface_hub in this process use `server` and the cache directory `cache`, without time limits."""
    from huggingface_hub import constants  # reads the environment once

    from avscene.models.weights import hub

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, server.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for limit in ("CHECK_SECONDS", "FIRST_ANSWER_SECONDS"):  # a busy machine may take long
        monkeypatch.setattr(hub, limit, 1e4)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_files: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _answer(self) -> None:
        hub = self.server_of_files
        path = self.path.strip("/")
        hub.requests[f"{self.command} {path.rsplit('/', 1)[-1]}"] += 1
        if hub.fault == "trickle":
            self._trickle()
        elif hub.fault == "http-500":
            self._send(500, {}, b"broken")
        elif hub.fault == "portal":
            self._send(200, {}, b"<html>Please log in to this network</html>")
        elif path.startswith("store/"):
            _, owner, name, filename = path.split("/")
            self._transfer(hub.repos[f"{owner}/{name}"][filename])
        else:
            self._resolve(path)

    def _trickle(self) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(OSError):  # the client has gone
            self.wfile.write(b"X-Wait: ")
            while not self.server_of_files.stopped.wait(0.05):
                self.wfile.write(b".")

    def _resolve(self, path: str) -> None:
        """/{owner}/{name}/resolve/{revision}/{file}: small files at once, large ones from their store."""
        repo_id, _, rest = path.partition("/resolve/")
        revision, _, filename = rest.partition("/")
        hub = self.server_of_files
        files = hub.repos.get(repo_id)
        common = {"X-Repo-Commit": hub.commit if revision == "main" else revision}
        if files is None or revision not in ("main", COMMIT, NEXT_COMMIT):
            self._send(404, {"X-Error-Code": "RepoNotFound"})
        elif filename not in files:
            self._send(404, common | {"X-Error-Code": "EntryNotFound"})
        elif filename.endswith(LARGE):
            content = files[filename]
            size = len(content) + 1000 * (hub.fault == "short")
            digest = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(size)}
            # The store is another host, or the client would follow at once and miss these headers.
            store = hub.url.replace("127.0.0.1", "localhost")
            self._send(302, common | linked | {"Location": f"{store}/store/{repo_id}/{filename}"})
        else:
            content = files[filename]
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self._send(200, common | {"ETag": f'"{git}"'}, content)
            if hub.fault == "moving" and self.command == "GET":
                hub.commit = NEXT_COMMIT

    def _transfer(self, content: bytes) -> None:
        hub = self.server_of_files
        if hub.fault == "damaged":
            content = content[:-1] + bytes([content[-1] ^ 1])
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        ranged = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        if hub.fault in ("cut", "cut-once"):
            self.close_connection = True
            half = None if hub.fault == "cut" and first else content[first : len(content) // 2]
            hub.fault = None if hub.fault == "cut-once" else "cut"
            self._send(206 if first else 200, ranged, half or b"", promised=len(content) - first)
        else:
            self._send(206 if first else 200, ranged, content[first:])

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"", promised: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
