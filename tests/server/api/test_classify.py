"""Test that a recording in a request is classified as on the command line, and which requests are refused."""

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

import avscene
from avscene.server import middleware
from avscene.server.jobs import JobState
from tests.support.command_line import run
from tests.support.live_server import Live, wait_until
from tests.support.processes import ROOT

SHARED = ROOT.parent / "shared" / "media"
REAL = (
    "mdn/live-examples/media/examples/stream-of-water.webm",
    "decord/tests/test_data/video_90.mov",
    "exoplayer/media/flac/bear_uncommon_sample_rate.flac",  # `conse` needs video
    "../media_faults/jpg_2.jpg",
)
LABELS = "kitchen,street,forest"
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(autouse=True)
def short_farewells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the rest of refused bodies for a short time."""
    monkeypatch.setattr(middleware, "LINGER_SECONDS", 0.2)


@pytest.fixture(scope="module")
def system() -> avscene.System:
    return avscene.load("conse", labels=LABELS, device="cpu")


def post(live: Live, content: Any, **query: str) -> httpx.Response:
    return live.client.post("/v1/classify", params={"labels": LABELS, **query}, content=content, headers=BYTES)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/media")
@pytest.mark.parametrize("name", REAL)
def test_python_command_line_and_http_give_the_same_json(
    live: Live, system: avscene.System, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = SHARED / name
    monkeypatch.chdir(path.parent)
    raw = post(live, path.read_bytes(), name=path.name)
    form = live.client.post("/v1/classify", data={"labels": LABELS}, files={"file": (path.name, path.read_bytes())})
    command = run(capfd, "classify", path.name, "--system", "conse", "--labels", LABELS, "--format", "json")
    assert (raw.status_code, raw.content) == (form.status_code, form.content)
    if raw.status_code == 200:
        assert raw.text == command.out
        assert raw.json() == system.classify(path.name).to_dict()
    else:
        with pytest.raises(avscene.AvsceneError) as error:
            system.classify(path.name)
        assert raw.status_code == 422
        assert raw.json() == json.loads(command.out)
        assert raw.json()["error"] == {"type": error.value.kind, "message": str(error.value)}
    assert live.files() == []  # nothing is kept


def test_options_of_a_request(live: Live, clip: Path) -> None:
    query = {"hop": "0.5", "frames": "keyframes", "system": "conse"}
    response = post(live, clip.read_bytes(), **query)
    assert [segment["end"] for segment in response.json()["segments"]] == [0.5, 1.0, 1.5, 2.0]
    expected = avscene.load("conse", labels=LABELS, device="cpu").classify(clip, hop=0.5, keyframes=True).to_dict()
    assert response.json() == expected | {"source": "upload"}
    form = live.client.post("/v1/classify", data={**query, "labels": LABELS}, files={"file": ("", clip.read_bytes())})
    assert form.json() == response.json()


def test_a_comma_after_the_last_label_is_forgiven(live: Live, clip: Path) -> None:
    response = post(live, clip.read_bytes(), labels="kitchen, street ,")
    assert response.json()["labels"] == ["kitchen", "street"]


def test_a_name_is_never_a_path(live: Live, clip: Path) -> None:
    for name in ("../../../../etc/passwd", "/etc/passwd", "..\\..\\x.mp4", "a\u202e4pm.exe", "x." + "a" * 200):
        response = post(live, clip.read_bytes(), name=name)
        assert (response.status_code, response.json()["source"]) == (200, name)
    assert live.files() == []


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({"system": "/etc"}, 400, "'/etc' is neither a system nor a checkpoint directory"),
        ({"system": "hf://user/repo"}, 400, "is neither a system"),
        ({"system": "fast"}, 400, "must be trained first"),
        ({"labels": "park"}, 400, "labels: List should have at least 2 items"),
        ({"labels": "park,park"}, 400, "given twice"),
        ({"labels": "/etc/hostname"}, 400, "labels"),
        ({"hop": "0"}, 400, "hop: Input should be greater than or equal to 0.02"),
        ({"hop": "nan"}, 400, "hop"),
        ({"frames": "some"}, 400, "frames: Input should be 'exact' or 'keyframes'"),
        ({"name": "a\nb"}, 400, "name: String should match pattern"),
        ({"name": "a" * 256}, 400, "name: String should have at most 255 characters"),
    ],
)
def test_wrong_options_are_refused_before_the_file_is_stored(
    live: Live, query: dict[str, str], status: int, message: str
) -> None:
    response = post(live, b"x" * 1000, **query)
    assert (response.status_code, response.json()["error"]["type"]) == (status, "usage")
    assert message in response.json()["error"]["message"]
    assert live.services.table.list() == ([], None)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "text/html", "multipart/mixed"]
)
def test_a_body_of_another_type_is_refused(live: Live, kind: str) -> None:
    response = live.client.post("/v1/classify", content=b"x" * 100, headers={"Content-Type": kind})
    assert (response.status_code, response.json()["error"]["type"]) == (415, "unsupported")


@pytest.mark.parametrize(
    ("header", "status"), [({"Content-Encoding": "gzip"}, 415), ({"Content-Range": "bytes 0-9/100"}, 400)]
)
def test_a_compressed_or_partial_body_is_refused(live: Live, header: dict[str, str], status: int) -> None:
    response = live.client.post("/v1/classify", content=b"x" * 100, headers={**BYTES, **header})
    assert response.status_code == status
    assert live.files() == []


def test_a_file_that_is_no_recording_is_a_failure_record(live: Live) -> None:
    response = post(live, b"x" * 1000, name="x.mp4")
    assert response.status_code == 422
    message = "x.mp4: is not a media file that can be read (invalid data found when processing input)"
    assert response.json() == {
        "schema": "avscene/1",
        "source": "x.mp4",
        "error": {"type": "media", "message": message},
    }


def test_a_playlist_is_not_followed(live: Live, clip: Path) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{clip}\n#EXT-X-ENDLIST\n"
    assert post(live, playlist.encode(), name="list.m3u8").status_code == 422


def test_an_empty_body_and_one_without_a_length_are_refused(live: Live) -> None:
    assert post(live, b"").json() == {"error": {"type": "usage", "message": "the file is empty"}}
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 411 ")


def test_an_upload_larger_than_allowed_is_refused_before_it_is_sent(live: Live) -> None:
    limit = live.services.settings.max_upload
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        head = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {limit + 1}\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'


@pytest.mark.parametrize("start", [b"", PART, PART + b"content\r\n--x--\r\n"], ids=["file", "form", "after a form"])
def test_an_upload_of_unknown_length_ends_at_the_limit(live: Live, start: bytes) -> None:
    limit = live.services.settings.max_upload
    n_sent = 0

    def endless() -> Any:
        nonlocal n_sent
        yield start
        while n_sent < 1000 * limit:
            yield b"x" * 2**16
            n_sent += 2**16

    headers = {"Content-Type": "multipart/form-data; boundary=x"} if start else BYTES
    try:
        response = live.client.post("/v1/classify", content=endless(), headers=headers)
    except (httpx.WriteError, httpx.ReadError):  # the server closed the connection
        pass
    else:
        assert (response.status_code, response.json()["error"]["type"]) == (413, "too_large")
    assert n_sent < 100 * limit
    assert live.files() == []
    assert live.services.table.list() == ([], None)


@pytest.mark.parametrize("length", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_an_upload_that_ends_early_leaves_nothing(live: Live, length: bytes) -> None:
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n" + length + b"\r\n\r\n5\r\nhello\r\n")
        wait_until(lambda: any(name.startswith(".upload-") for name in live.files()))
    wait_until(lambda: live.files() == [] and live.services.table.counts()[JobState.WAITING] == 0)


def test_an_upload_that_stands_still_is_refused(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "IDLE_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhello")
        answer = b""
        while chunk := connection.recv(1000):  # until the server closes the connection
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"type":"timeout"' in answer
    assert live.files() == []


def test_a_client_that_goes_away_frees_its_work(live: Live, long_clip: Path) -> None:
    content = long_clip.read_bytes()
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        head = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)
        wait_until(lambda: live.services.runner.n_running == 1)
    wait_until(lambda: live.services.runner.n_running == 0)
    assert set(live.services.table.counts().values()) == {0}
    assert live.files() == []


def test_a_full_queue_answers_when_to_try_again(live: Live, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live.services.table, "_max_queue", 1)
    assert live.client.post("/v1/jobs", json={"name": "a.mp4"}).status_code == 201
    for response in (post(live, clip.read_bytes()), live.client.post("/v1/jobs", json={"name": "b.mp4"})):
        assert (response.status_code, response.json()["error"]["type"]) == (429, "busy")
        assert 1 <= int(response.headers["retry-after"]) <= 600


def test_requests_that_are_classified_are_not_listed(live: Live, clip: Path) -> None:
    assert post(live, clip.read_bytes()).status_code == 200
    assert live.client.get("/v1/jobs").json() == {"jobs": [], "next": None}
