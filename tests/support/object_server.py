"""Serve objects on loopback as S3 does, through a proxy with the faults that real services and networks have."""

import http.client
import logging
import socket
import struct
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, cast

import boto3
import pytest
from moto.server import ThreadedMotoServer

# What happens to a request for an object. An answer of a status such as "503"; a connection that ends half-way ("cut"),
# is reset half-way ("reset") or closed before the first byte ("dropped"); bytes that come a few at a time ("slow") or
# stop coming half-way ("stall"); an object that is replaced before the answer ("replaced before") or half-way, after
# which the connection ends ("replaced half-way").
Fault = str
BUCKET = "recordings"
SECRET = "wJalrXUtnFEMI"  # part of the key that requests are signed with


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that left, which many tests are about."""


class ObjectServer:
    """`with ObjectServer() as server: server.put("a.mp4", content)`; the object is `s3://recordings/a.mp4`.

    `faults` has, for a name, those of its requests in their order; the last one, if it is `...`, stands for all further
    ones with the fault before it. Faults apply to GET, or to PUT and POST if `fault_uploads` is set.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.faults: dict[str, list[Any]] = {}
        self.fault_uploads = False
        self.requests: list[tuple[str, str, str | None]] = []  # method, path with query, and Range
        self.released = Event()  # ends stalls
        server = self

        class Handler(_Handler):
            host = server

        self._proxy = _Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._proxy.server_port}"

    def __enter__(self) -> "ObjectServer":
        self._moto.start()
        self.address = cast(tuple[str, int], self._moto.get_host_and_port())
        Thread(target=self._proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self._client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.address[1]}",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        self._client.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._proxy.shutdown()
        self._proxy.server_close()
        self._moto.stop()

    def set_environment(self, patch: pytest.MonkeyPatch) -> None:
        """Let clients find this server and its credentials in the environment."""
        patch.setenv("AWS_ENDPOINT_URL", self.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def clear(self) -> None:
        """Remove all objects and faults."""
        self.faults, self.requests, self.fault_uploads = {}, [], False
        for item in self._client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
            self._client.delete_object(Bucket=BUCKET, Key=item["Key"])

    def put(self, name: str, content: bytes) -> str:
        """Store an object and return its URL."""
        self._client.put_object(Bucket=BUCKET, Key=name, Body=content, ACL="public-read")
        return f"s3://{BUCKET}/{name}"

    def get(self, name: str) -> bytes:
        """Return the content of an object."""
        return bytes(self._client.get_object(Bucket=BUCKET, Key=name)["Body"].read())

    def names(self) -> list[str]:
        """Return the names of all objects."""
        return [item["Key"] for item in self._client.list_objects_v2(Bucket=BUCKET).get("Contents", ())]

    def count(self, method: str, name: str = "") -> int:
        """Return the number of requests of a method for an object."""
        return sum(found == method and f"/{BUCKET}/{name}" in path for found, path, _ in self.requests)

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Return what happens to a request."""
        if (method != "GET") if not self.fault_uploads else (method not in ("PUT", "POST")):
            return None
        planned = self.faults.get(path.partition("?")[0].removeprefix(f"/{BUCKET}/"), [])
        if len(planned) > 1 and planned[1] is ...:
            return cast(Fault, planned[0])
        return planned.pop(0) if planned else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: ObjectServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _serve(self) -> None:
        host = self.host
        host.requests.append((self.command, self.path, self.headers.get("Range")))
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = host.next_fault(self.command, self.path)
        name = self.path.partition("?")[0].removeprefix(f"/{BUCKET}/")
        if fault == "replaced before":
            host.put(name, host.get(name)[::-1])
        if fault == "dropped":
            self.close_connection = True
            return
        if fault is not None and fault.isdecimal():
            self._answer(int(fault), [], f"<Error><Code>Refused</Code><Message>{SECRET}</Message></Error>".encode())
            return
        connection = http.client.HTTPConnection("127.0.0.1", host.address[1])
        connection.request(self.command, self.path, sent, dict(self.headers))
        answer = connection.getresponse()
        body = answer.read()
        headers = [pair for pair in answer.getheaders() if pair[0].lower() not in _OWN]
        if self.command == "HEAD":
            self._answer(answer.status, headers, b"", int(answer.getheader("Content-Length") or 0))
        elif fault is None:
            self._answer(answer.status, headers, body)
        else:
            self._break(fault, name, answer.status, headers, body)
        connection.close()

    def _break(self, fault: Fault, name: str, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if fault == "replaced before":
            self._answer(status, headers, body)
            return
        middle = len(body) // 2
        self._answer(status, headers, body[:middle], len(body))
        if fault == "slow":
            step = max(1, middle // 20)
            for at in range(middle, len(body), step):
                time.sleep(0.02)
                self.wfile.write(body[at : at + step])
            return
        if fault == "stall":
            self.host.released.wait()
        if fault == "replaced half-way":
            self.host.put(name, self.host.get(name)[::-1])
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        self.close_connection = True

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, promised: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()

    def __getattr__(self, name: str) -> Any:
        """Serve all methods alike, which the base class looks up as `do_GET` and so on."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)


_OWN = ("content-length", "connection", "server", "date", "transfer-encoding")
