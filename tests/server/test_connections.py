"""Test connections that send no request, half of one, or something else."""

import json
import socket
import time

import pytest

from avscene.server import connections
from tests.support.live_server import Live, wait_until

REQUEST = b"GET /v1/limits HTTP/1.1\r\nHost: localhost\r\n\r\n"


def received(connection: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    connection.settimeout(20)
    answer = b""
    while chunk := connection.recv(2**16):
        answer += chunk
    return answer


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST[:-2]])
def test_a_connection_without_a_complete_request_is_closed(
    live: Live, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        begun = time.monotonic()
        connection.sendall(sent)
        assert received(connection) == b""
        assert time.monotonic() - begun < 15


def test_the_next_request_of_a_connection_must_be_complete_too(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(2**16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /v1")
        assert b"HTTP/1.1 " not in received(connection)


def test_a_request_may_take_longer_than_its_head(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        head = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b'Content-Length: 17\r\n\r\n{"name": ')
        time.sleep(0.6)
        connection.sendall(b'"a.mp4"}')
        assert connection.recv(2**16).startswith(b"HTTP/1.1 201 ")


def test_requests_in_one_connection(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(REQUEST * 3 + REQUEST.replace(b"Host:", b"Connection: close\r\nHost:"))
        assert received(connection).count(b"HTTP/1.1 200 OK") == 4


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # without a host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",  # TLS
    ],
)
def test_what_is_no_http_is_refused(live: Live, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(sent + b"\r\n\r\n")
        head, _, body = received(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-security-policy: default-src 'none'" in head.lower()
    assert json.loads(body)["error"]["type"] == "usage"
    wait_until(lambda: live.files() == [])  # the upload that had begun ends after its connection


def test_a_body_of_two_lengths_is_one_request(live: Live) -> None:
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(head + b"0\r\n\r\n" + REQUEST)
        answers = received(connection)
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1") == 1


def test_an_endless_head_is_refused(live: Live) -> None:
    def send_for_ever(connection: socket.socket) -> None:
        for _ in range(1000):
            connection.sendall(b"x" * 2**16)

    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(b"GET /")
        with pytest.raises(ConnectionError):
            send_for_ever(connection)
