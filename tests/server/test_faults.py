"""Test the server with clients, files and decoders that fail: each costs its own job, with a status that fits."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support import faulty_server
from tests.support.hostile_files import FILES, SLOW
from tests.support.media_files import write_media
from tests.support.playlists import TEXTS, disguised, external_data
from tests.support.server import serve
from tests.support.server_client import PATIENCE, ServerClient, chunk, status_of

MAX_UPLOAD = 2**20  # bytes
BUFFER = 2**20  # bytes that may be written before a part is known to be too many
CHUNKED = "Transfer-Encoding: chunked"
PLAYLISTS = ["segments.m3u8", "list.ffconcat", "protocol.concat", "stream.sdp", "manifest.mpd", "image.svg", "list.cue"]
BOMBS = ["large.png", "huge_table.mp4", "gigahertz.wav", "centuries.mkv"]


@pytest.fixture(scope="module")
def shared_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerClient]:
    """A client of a server of its own, which has not failed at the end, nor written outside of its directory."""
    home = tmp_path_factory.mktemp("faults") / "home"
    options = ("--system", "conse", "--device", "cpu", "--max-upload", str(MAX_UPLOAD), "--workers", "2")
    with serve(home, *options, module=faulty_server.__name__) as serving:
        client = ServerClient(serving)
        yield client
        assert max(client.statuses()) < 500
        log = serving.log.read_text("utf-8")
        assert "internal error" not in log
        assert "Traceback" not in log
        assert client.files() == set()
    own = {"lock", "jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"}
    assert {path.name for path in home.rglob("*") if path.is_file()} <= {"server.log", *own}


@pytest.fixture
def client(shared_client: ServerClient) -> Iterator[ServerClient]:
    """The client, without jobs."""
    yield shared_client
    for job in shared_client.http.get("/v1/jobs", params={"limit": 200}).json()["jobs"]:
        shared_client.remove(job["id"])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of two seconds."""
    return write_media(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2, fps=5).read_bytes()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video that takes seconds to classify."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    return write_media(path, seconds=1200, audio=False, fps=1, gop=60).read_bytes()


def test_a_decoder_that_fails_costs_its_job_alone(client: ServerClient, clip: bytes) -> None:
    expected = {
        "crash": "the decoder crashed (signal 11)",
        "kill": "the decoder was killed (signal 9), perhaps because memory ran out",
        "hang": "the decoder made no progress for 5 s and was stopped",
        "allocate": "needs more than 0.5 GiB of memory",
        "garbage": "the decoder returned damaged data",
        "leave": "the decoder ended (exit code 7)",
    }
    good, failing = [], {}
    for fault in expected:
        failing[fault] = client.submit(f"a film.{fault}", clip)
        good.append(client.submit("good.mp4", clip))
    for fault, job_id in failing.items():
        job = client.wait(job_id)
        assert job["state"] == "failed"
        assert job["error"] == {"type": "media", "message": f"a film.{fault}: {expected[fault]}"}
        assert job["attempts"] == 1
        assert client.http.get(f"/v1/jobs/{job_id}/result.json").status_code == 404
    results = [client.result(job_id) for job_id in good if client.wait(job_id)["state"] == "done"]
    assert len(results) == len(good)
    assert all(result == results[0] for result in results)


def test_broken_slow_and_endless_uploads_leave_the_job_waiting_and_no_file(client: ServerClient, clip: bytes) -> None:
    job_id = client.add("film.mp4")
    path = f"/v1/jobs/{job_id}/media"
    with client.upload(path, f"Content-Length: {len(clip)}") as connection:
        connection.sendall(clip[:1000])  # and is cut
    with client.upload(path, CHUNKED) as connection:
        connection.sendall(chunk(clip)[:-1000])  # likewise
    with client.upload(path, f"Content-Length: {len(clip)}") as slow:
        slow.sendall(clip[:1000])
        other = client.submit("other.mp4", clip)  # meanwhile others are served
        assert status_of(slow) == 400
    assert send_without_end(client, path) <= MAX_UPLOAD + BUFFER
    with client.upload(path, CHUNKED) as malformed:
        malformed.sendall(b"xyz\r\nno length\r\n")
        assert status_of(malformed) == 400
    client.wait_until(lambda: not any(job_id in file.parts for file in client.files()))
    assert client.job(job_id)["state"] == "waiting"
    assert client.put(job_id, clip).status_code == 202
    assert client.wait(job_id)["state"] == "done"
    assert client.wait(other)["state"] == "done"


def send_without_end(client: ServerClient, path: str) -> int:
    """Send a body until the server closes the connection; return the bytes of the largest file that it stored."""
    largest = 0
    jobs = client.serving.directory / "jobs"
    with client.upload(path, CHUNKED) as connection:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                connection.sendall(chunk(bytes(2**16)))
            except OSError:
                return largest
            with suppress(FileNotFoundError):  # it was removed meanwhile
                largest = max([largest, *(file.stat().st_size for file in jobs.rglob(".*"))])
    pytest.fail("the server reads a body without end")


def test_an_upload_that_is_too_large_is_refused_before_it_is_stored(client: ServerClient) -> None:
    job_id = client.add("film.mp4")
    path = f"/v1/jobs/{job_id}/media"
    with client.upload(path, f"Content-Length: {MAX_UPLOAD + 1}") as connection:
        assert status_of(connection) == 413  # without a byte of the body
    with client.upload(path, "Content-Length: 99999999999999999999999") as connection:
        assert status_of(connection) in (400, 413)
    assert client.files() == set()
    assert client.put(job_id, bytes(MAX_UPLOAD + 1)).status_code == 413
    with client.upload(path, CHUNKED) as connection:
        connection.sendall(chunk(bytes(MAX_UPLOAD + 1)) + chunk(b""))
        assert status_of(connection) == 413
    client.wait_until(lambda: client.files() == set())
    assert client.job(job_id)["state"] == "waiting"


@pytest.mark.parametrize("kind", ["application/json", "text/html", "multipart/form-data; boundary=x"])
def test_a_body_that_is_declared_as_something_else_is_refused(client: ServerClient, clip: bytes, kind: str) -> None:
    job_id = client.add("film.mp4")
    response = client.http.put(f"/v1/jobs/{job_id}/media", content=clip, headers={"Content-Type": kind})
    assert (response.status_code, response.json()["error"]["type"]) == (415, "unsupported")
    assert client.put(job_id, b"").status_code in (400, 411)
    assert client.files() == set()


def test_files_that_are_no_media_are_failed_jobs(client: ServerClient) -> None:
    contents = {
        "text.txt": b"not a video",
        "page.html": b"<html><script>alert(1)</script></html>",
        "archive.zip": b"PK\3\4" + bytes(200),
        "document.pdf": b"%PDF-1.7\n" + bytes(200),
        "program.exe": b"MZ" + bytes(500),
        "noise.mp4": random.Random(1).randbytes(5000),
        "zeros.mkv": bytes(5000),
        "database.mp4": b"SQLite format 3\0" + bytes(5000),
        "one": b"x",
    }
    jobs = {name: client.submit(name, content) for name, content in contents.items()}
    for name, job_id in jobs.items():
        job = client.wait(job_id)
        assert job["state"] == "failed", job
        assert job["error"]["type"] == "media"
        assert job["error"]["message"].startswith(f"{name}: ")
        assert str(client.serving.directory) not in job["error"]["message"]
        response = client.http.get(f"/v1/jobs/{job_id}/media")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "html" not in response.headers["content-type"]


NAMES = {
    "../../x.mp4": 201,
    "/etc/passwd": 201,
    "..": 201,
    "C:\\..\\x.mp4": 201,
    "\u202egpj.exe": 201,
    "~/$(reboot);x.mp4": 201,
    "%2e%2e%2fx.mp4": 201,
    "<script>alert(1)</script>.mp4": 201,
    "x\0.mp4": 400,
    "x\n.mp4": 400,
    "x\r\nSet-Cookie: a=b.mp4": 400,
    "x" * 100_000: 400,
    "\ud800.mp4": 400,
    "": 400,
}


def test_no_name_is_a_path_or_a_header(client: ServerClient, clip: bytes) -> None:
    jobs = {}
    for name, status in NAMES.items():
        content = json.dumps({"name": name})  # with a lone surrogate as an escape sequence
        response = client.http.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == status, name
        if status == 201:
            jobs[name] = response.json()["id"]
            assert client.put(jobs[name], clip).status_code == 202
    for name, job_id in jobs.items():
        assert client.wait(job_id)["name"] == name
        assert client.result(job_id)["source"] == name
        for part in ("media", "result.json", "result.csv"):
            response = client.http.get(f"/v1/jobs/{job_id}/{part}")
            assert response.status_code == 200
            assert "/" not in response.headers["content-disposition"]
        assert {file.name for file in client.files() if file.parts[0] == job_id} <= {
            "media.mp4",
            "media.exe",
            "media",
            "result.json",
        }
    assert len({file.parts[0] for file in client.files()}) == len(jobs)


@pytest.mark.parametrize("job_id", ["..", "%2e%2e", "..%2f..%2fetc", "x" * 22, "x" * 5000, "%00", "%ff", "\u202e"])
def test_no_id_is_a_path(client: ServerClient, job_id: str) -> None:
    for method, part in (("GET", ""), ("GET", "/media"), ("PUT", "/media"), ("DELETE", ""), ("GET", "/events")):
        response = client.http.request(method, f"{client.serving.url}/v1/jobs/{job_id}{part}", content=b"x")
        assert response.status_code in (400, 404, 405), (method, part)


def test_playlists_and_references_are_not_followed(client: ServerClient, clip: bytes, tmp_path: Path) -> None:
    check_playlists(client, clip, tmp_path, {*PLAYLISTS, "renamed.mp4", "id3.m3u8", "after_packet.ts", "alias.mov"})


@pytest.mark.slow
def test_no_playlist_or_reference_is_followed(client: ServerClient, clip: bytes, tmp_path: Path) -> None:
    check_playlists(client, clip, tmp_path, None)


def check_playlists(client: ServerClient, clip: bytes, folder: Path, names: set[str] | None) -> None:
    secret = write_media(folder / "secret.mp4", seconds=1, fps=5)
    contents = {name: text.format(secret).encode() for name, text in TEXTS.items()}
    contents |= disguised(TEXTS["segments.m3u8"].format(secret))
    contents |= external_data(secret.read_bytes(), str(secret), folder.name)
    jobs = {name: client.submit(name, contents[name]) for name in names or contents}
    good = client.submit("good.mp4", clip)
    for name, job_id in jobs.items():
        job = client.wait(job_id)
        assert (job["state"], job["error"]["type"]) == ("failed", "media"), name
        assert job["error"]["message"].startswith(f"{name}: ")
    assert client.wait(good)["state"] == "done"


def test_bombs_end_with_an_answer(client: ServerClient, clip: bytes, tmp_path: Path) -> None:
    check_bombs(client, clip, tmp_path, BOMBS)


@pytest.mark.slow
def test_all_bombs_end_with_an_answer(client: ServerClient, clip: bytes, tmp_path: Path) -> None:
    check_bombs(client, clip, tmp_path, sorted(set(FILES) - set(BOMBS), key=lambda name: name in SLOW))


def check_bombs(client: ServerClient, clip: bytes, folder: Path, names: list[str]) -> None:
    contents = {name: FILES[name](folder / name) for name in names}
    fitting = {name: content for name, content in contents.items() if len(content) <= MAX_UPLOAD}
    assert len(fitting) >= len(names) // 2
    jobs = {name: client.submit(name, content) for name, content in fitting.items()}
    good = client.submit("good.mp4", clip)
    for name, job_id in jobs.items():
        job = client.wait(job_id)
        assert job["state"] == "done" or job["error"]["type"] in ("media", "modality"), job
        assert job["state"] == "done" or job["error"]["message"].startswith(f"{name}: ")
    assert client.wait(good)["state"] == "done"


def test_a_job_is_removed_at_every_stage(client: ServerClient, clip: bytes, long_clip: bytes) -> None:
    done = client.submit("done.mp4", clip)
    failed = client.submit("failed.mp4", b"no media")
    client.wait(done)
    client.wait(failed)
    waiting, uploading = client.add("waiting.mp4"), client.add("uploading.mp4")
    with client.upload(f"/v1/jobs/{uploading}/media", f"Content-Length: {len(clip)}") as connection:
        connection.sendall(clip[:5000])
        client.wait_until(lambda: any(file.parts[0] == uploading for file in client.files()))
        client.remove(uploading)
        connection.sendall(clip[5000:])
        assert status_of(connection) == 404
    long = [client.submit(f"long {number}.mp4", long_clip) for number in range(8)]  # as many as two workers ever begin
    queued = [client.submit(f"queued {number}.mp4", clip) for number in range(3)]
    for job_id in long[:2]:
        client.wait(job_id, "running")
    client.wait_until(lambda: client.job(long[0])["reached"] > 0)
    assert client.job(queued[1])["state"] == "queued"
    for job_id in (queued[1], long[0], *long[2:], waiting, done, failed):
        client.remove(job_id)
    kept = [long[1], queued[0], queued[2]]
    client.wait_until(lambda: {file.parts[0] for file in client.files()} <= set(kept))
    for job_id in (queued[0], queued[2]):
        assert client.wait(job_id)["state"] == "done"
    assert client.job(long[1])["attempts"] == 1
