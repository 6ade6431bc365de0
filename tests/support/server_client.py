"""A client of the server for tests: jobs are added, sent, awaited and removed; uploads are broken at any byte."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.server import Serving

PATIENCE = 120.0  # seconds that a job may take on a busy machine


class ServerClient:
    """Sends requests to a server that runs as a process of its own."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.http = httpx.Client(base_url=serving.url, timeout=60)

    def add(self, name: str, **fields: object) -> str:
        """Add a job and return its id."""
        response = self.http.post("/v1/jobs", json={"name": name, **fields})
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def put(self, job_id: str, content: bytes) -> httpx.Response:
        """Send the media of a job."""
        return self.http.put(f"/v1/jobs/{job_id}/media", content=content)

    def submit(self, name: str, content: bytes, **fields: object) -> str:
        """Add a job with its media and return its id."""
        job_id = self.add(name, **fields)
        response = self.put(job_id, content)
        assert response.status_code == 202, response.text
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        response = self.http.get(f"/v1/jobs/{job_id}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        """Wait until a job is in one of the states, by default done or failed, and return it."""
        wanted = states or ("done", "failed")
        self.wait_until(lambda: self.job(job_id)["state"] in wanted)
        return self.job(job_id)

    def result(self, job_id: str) -> dict[str, Any]:
        response = self.http.get(f"/v1/jobs/{job_id}/result.json")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def remove(self, job_id: str) -> None:
        assert self.http.delete(f"/v1/jobs/{job_id}").status_code == 204
        assert self.http.get(f"/v1/jobs/{job_id}").status_code == 404

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds; fail after `PATIENCE`."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.serving.log.read_text("utf-8")
            time.sleep(0.02)

    def files(self) -> set[Path]:
        """Return the files of all jobs, relative to their directory, hidden ones too."""
        jobs = self.serving.directory / "jobs"
        return {path.relative_to(jobs) for path in jobs.rglob("*") if not path.is_dir()}

    def statuses(self) -> set[int]:
        """Return all statuses that the server has answered with."""
        lines = self.http.get("/metrics").text.splitlines()
        counts = [line for line in lines if line.startswith("avscene_http_requests_total{")]
        return {int(line.partition('status="')[2].partition('"')[0]) for line in counts}

    @contextmanager
    def upload(self, path: str, *headers: str) -> Iterator[socket.socket]:
        """Begin a PUT request; yield the connection, on which the body is sent by hand."""
        url = httpx.URL(self.serving.url)
        with socket.create_connection((url.host, url.port), timeout=PATIENCE) as connection:
            head = [f"PUT {path} HTTP/1.1", "Host: localhost", *headers, "", ""]
            connection.sendall("\r\n".join(head).encode())
            yield connection


def status_of(connection: socket.socket) -> int:
    """Read the status of the response on a connection."""
    answer = b""
    while b"\r\n" not in answer:
        part = connection.recv(4096)
        if not part:
            pytest.fail(f"the connection ended after {answer!r}")
        answer += part
    return int(answer.split()[1])


def chunk(content: bytes) -> bytes:
    """Return a chunk of a body of unknown length (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(content), content)
