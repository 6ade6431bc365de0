"""Imitate Google Cloud Storage and Azure Blob Storage on loopback, as far as their clients need it."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import fsspec.config
import pytest

PLACE = "recordings"  # the bucket or container
ACCOUNT = "account"
Answer = tuple[int, dict[str, str], bytes]  # status, headers, body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: "CloudServer"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def __getattr__(self, name: str) -> Any:
        """Serve all methods alike, which the base class looks up as `do_GET` and so on."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        self.cloud.n_requests += 1
        sent = self._read()
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        if self.cloud.statuses:
            status, headers, body = cast(Answer, (self.cloud.statuses.pop(0), {}, b""))
        else:
            status, headers, body = self.cloud.answer(self.command, split.path, query, dict(self.headers), sent)
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):  # the client has gone
                self.wfile.write(body)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content


class CloudServer:
    """`with GoogleServer() as server: server.objects["a.mp4"] = content`; the object is `gs://recordings/a.mp4`.

    `statuses` are those of the next answers, in place of the right ones; `n_short` of the next ranges have half their
    bytes; `replaced` is called after the next answer with content.
    """

    scheme = ""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.statuses: list[int] = []
        self.replaced: Callable[[], None] | None = None
        self.n_short = 0
        self.n_requests = 0
        server = self

        class Handler(_Handler):
            cloud = server

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "CloudServer":
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def set_environment(self, patch: pytest.MonkeyPatch) -> None:
        """Let clients find this server."""
        raise NotImplementedError

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], sent: bytes) -> Answer:
        """Return status, headers and body of the answer to a request."""
        raise NotImplementedError

    def content(self, name: str, asked: str | None) -> Answer:
        """Return the answer with an object, or with the range of it that is asked for."""
        whole = self.objects[name]
        if not asked:
            found, status, headers = whole, 200, {}
        else:
            first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
            found, status = whole[first : last + 1], 206
            headers = {"Content-Range": f"bytes {first}-{first + len(found) - 1}/{len(whole)}"}
        if self.n_short and asked:
            self.n_short -= 1
            found = found[: len(found) // 2]
        if self.replaced is not None:
            self.replaced()
            self.replaced = None
        return status, headers, found

    def page(self, prefix: str, size: int, token: str) -> tuple[list[str], str]:
        """Return the names of a page of a listing, and the token of the next one."""
        names = sorted(name for name in self.objects if name.startswith(prefix))
        begin = int(token or 0)
        return names[begin : begin + size], str(begin + size) if begin + size < len(names) else ""

    def version(self, name: str) -> str:
        """Return what changes with the content of an object."""
        return str(hash(self.objects[name]) & 0xFFFFFFFF)


class GoogleServer(CloudServer):
    """The JSON interface of Google Cloud Storage."""

    scheme = "gs"

    def set_environment(self, patch: pytest.MonkeyPatch) -> None:
        patch.setenv("STORAGE_EMULATOR_HOST", self.url)
        patch.setitem(fsspec.config.conf, "gs", {"token": "anon"})  # as FSSPEC_GS_TOKEN does, which is read at import

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], sent: bytes) -> Answer:
        if path.startswith("/upload/"):
            return self._upload(method, query, sent)
        name = unquote(path.partition(f"/b/{PLACE}/o/")[2])
        if not name:
            names, token = self.page(
                query.get("prefix", ""), int(query.get("maxResults", 1000)), query.get("pageToken", "")
            )
            listed = {"items": [self._item(each) for each in names]} | ({"nextPageToken": token} if token else {})
            return 200, {}, json.dumps(listed).encode()
        if name not in self.objects:
            return 404, {}, b"{}"
        if query.get("alt") == "media":
            return self.content(name, headers.get("Range"))
        return 200, {}, json.dumps(self._item(name)).encode()

    def _item(self, name: str) -> dict[str, str]:
        size, version = str(len(self.objects[name])), self.version(name)
        return {"name": name, "bucket": PLACE, "size": size, "generation": version, "etag": version}

    def _upload(self, method: str, query: dict[str, str], sent: bytes) -> Answer:
        if query.get("uploadType") == "multipart":
            _, described, content, _ = sent.split(b"--==0==")
            name = json.loads(described.partition(b"\n\n")[2])["name"]
            self.objects[name] = content.partition(b"\n\n")[2].removesuffix(b"\n")
            return 200, {}, json.dumps(self._item(name)).encode()
        if method == "DELETE":
            return 499, {}, b""
        return 200, {"Location": f"{self.url}/upload/session?uploadType=resumable"}, b"{}"


class AzureServer(CloudServer):
    """The interface of Azure Blob Storage."""

    scheme = "az"

    def set_environment(self, patch: pytest.MonkeyPatch) -> None:
        key = base64.b64encode(b"key").decode()
        place = f"BlobEndpoint={self.url}/{ACCOUNT}"
        settings = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};{place};"
        patch.setenv("AZURE_STORAGE_CONNECTION_STRING", settings)

    def answer(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], sent: bytes) -> Answer:
        name = unquote(path.removeprefix(f"/{ACCOUNT}/{PLACE}").removeprefix("/"))
        if query.get("comp") == "list":
            names, token = self.page(
                query.get("prefix", ""), int(query.get("maxresults", 1000)), query.get("marker", "")
            )
            listed = "".join(f"<Blob><Name>{escape(each)}</Name><Properties/></Blob>" for each in names)
            xml = f"<EnumerationResults><Blobs>{listed}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>"
            return 200, {"Content-Type": "application/xml"}, xml.encode()
        if method == "PUT":
            if query.get("comp") != "block":
                self.objects[name] = sent
            return 201, {"ETag": '"0"', "Last-Modified": formatdate(usegmt=True)}, b""
        if name not in self.objects:
            return 404, {"x-ms-error-code": "BlobNotFound"}, b""
        own = {
            "ETag": f'"{self.version(name)}"',
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
            "x-ms-blob-type": "BlockBlob",
        }
        status, more, body = self.content(name, headers.get("x-ms-range") or headers.get("Range"))
        return status, own | more, body
