"""Test the life of jobs over HTTP: add, send, list, follow, read and remove."""

import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from avscene.server.jobs import JobState
from tests.support.command_line import run
from tests.support.live_server import Live, wait_until

LABELS = ["kitchen", "street", "forest"]
Event = tuple[str, str, dict[str, Any]]  # its name, id and data


def add(live: Live, name: str = "clip.mp4", **fields: Any) -> dict[str, Any]:
    response = live.client.post("/v1/jobs", json={"name": name, "labels": LABELS, **fields})
    assert response.status_code == 201, response.text
    assert response.headers["location"] == f"/v1/jobs/{response.json()['id']}"
    found: dict[str, Any] = response.json()
    return found


def send(live: Live, job: dict[str, Any], content: Any) -> httpx.Response:
    return live.client.put(f"/v1/jobs/{job['id']}/media", content=content)


def events(live: Live, job: dict[str, Any], last: int | None = None) -> Iterator[Event]:
    """Yield the events of a job as they come."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with httpx.stream("GET", f"{live.url}/v1/jobs/{job['id']}/events", headers=headers, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        for line in response.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                fields = {}


def finished(live: Live, job: dict[str, Any]) -> dict[str, Any]:
    *_, (_, _, last) = events(live, job)
    return last


def classified(live: Live, clip: Path, **fields: Any) -> dict[str, Any]:
    job = add(live, clip.name, **fields)
    assert send(live, job, clip.read_bytes()).status_code == 202
    return finished(live, job)


def test_the_life_of_a_job(live: Live, clip: Path) -> None:
    job = add(live, hop=0.5, frames="keyframes")
    assert (job["state"], job["system"], job["position"], job["scene"]) == ("waiting", "conse", None, None)
    assert (job["labels"], job["hop"], job["frames"]) == (LABELS, 0.5, "keyframes")
    sent = send(live, job, clip.read_bytes())
    assert (sent.status_code, sent.json()["size"]) == (202, clip.stat().st_size)
    done = finished(live, job)
    assert (done["state"], done["reached"], done["duration"], done["error"]) == ("done", 2.0, 2.0, None)
    assert done["scene"] in LABELS
    assert done["modalities"] == {"audio": True, "video": True}
    assert done["models"] == {"conse": "video"}
    assert done["created"] <= done["started"] <= done["finished"]
    assert live.client.get(f"/v1/jobs/{job['id']}").json() == done
    assert live.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert live.files() == []
    for response in (live.client.get(f"/v1/jobs/{job['id']}"), live.client.delete(f"/v1/jobs/{job['id']}")):
        assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found")


def test_results_are_those_of_the_command_line(
    live: Live, clip: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clip.parent)
    job = classified(live, clip)
    system = ("--system", "conse", "--labels", ",".join(LABELS))
    for format, extension in {"json": "json", "csv": "csv", "vtt": "vtt", "audacity": "txt"}.items():  # noqa: A001
        response = live.client.get(f"/v1/jobs/{job['id']}/result.{format}")
        assert response.status_code == 200
        assert f'attachment; filename="clip.{extension}"' in response.headers["content-disposition"]
        run(capfd, "classify", clip.name, *system, "--format", format, "--output", f"result.{extension}")
        expected = Path(f"result.{extension}").read_text("utf-8")
        if format == "csv":  # made from JSON, whose numbers have six decimals
            ours, theirs = (list(csv.reader(io.StringIO(text))) for text in (response.text, expected))
            assert [row[:4] for row in ours] == [row[:4] for row in theirs]
            assert all(
                [float(a) for a in mine[-3:]] == pytest.approx([float(b) for b in other[-3:]], abs=1e-6)
                for mine, other in zip(ours[1:], theirs[1:], strict=True)
            )
        else:
            assert response.text == expected
    assert live.client.get(f"/v1/jobs/{job['id']}/result.xml").status_code == 400


def test_a_recording_that_cannot_be_read_is_a_failed_job(live: Live) -> None:
    job = add(live, "../x.mp4")
    assert send(live, job, b"x" * 1000).status_code == 202
    failed = finished(live, job)
    assert (failed["state"], failed["error"]["type"]) == ("failed", "media")
    assert failed["error"]["message"].startswith("../x.mp4: is not a media file")
    result = live.client.get(f"/v1/jobs/{job['id']}/result.json")
    assert (result.status_code, result.json()["error"]["message"]) == (
        404,
        "../x.mp4: has no result; the job is failed",
    )


RANGES: dict[str, slice | None] = {  # None: there is no such range
    "bytes=0-0": slice(0, 1),
    "bytes=0-": slice(0, None),
    "bytes=100-199": slice(100, 200),
    "bytes=100-99999999": slice(100, None),
    "bytes=-100": slice(-100, None),
    "bytes=-99999999": slice(0, None),
    "bytes=99999999-": None,
    "bytes=-0": None,
}
IGNORED = ("bytes=5-2", "bytes=a-b", "bytes=", "items=0-5", "bytes=0-1,5-6", "bytes=--5")


def test_ranges_of_the_media_are_slices_of_the_file(live: Live, clip: Path) -> None:
    job, content = add(live), clip.read_bytes()
    address = f"/v1/jobs/{job['id']}/media"
    assert live.client.get(address).status_code == 404
    send(live, job, content)
    whole = live.client.get(address)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "video/mp4")
    assert (whole.headers["accept-ranges"], whole.headers["x-content-type-options"]) == ("bytes", "nosniff")
    assert whole.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert whole.headers["content-disposition"].startswith("inline; ")
    head = live.client.head(address)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))
    for text, part in RANGES.items():
        response = live.client.get(address, headers={"Range": text})
        if part is None:
            assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{len(content)}")
            assert response.json()["error"]["type"] == "usage"
        else:
            first, last = range(len(content))[part][0], range(len(content))[part][-1]
            assert (response.status_code, response.content) == (206, content[part])
            assert response.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
    for text in IGNORED:
        response = live.client.get(address, headers={"Range": text})
        assert (response.status_code, response.content) == (200, content), text
    known = {"If-None-Match": whole.headers["etag"]}
    assert live.client.get(address, headers=known).status_code == 304
    changed = live.client.get(address, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, content)


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("a.HTML", "application/octet-stream", "a.HTML"),
        ("a.svg", "application/octet-stream", "a.svg"),
        ("../../a.mp3", "audio/mpeg", "a.mp3"),
        ('a".webm', "video/webm", "a_.webm"),
        ("Café 😀.mov", "video/quicktime", "Caf_ _.mov"),
        ("a.mp4; filename=b.exe", "application/octet-stream", "a.mp4_ filename_b.exe"),
    ],
)
def test_the_type_and_the_name_of_the_media(live: Live, name: str, kind: str, shown: str) -> None:
    job = add(live, name)
    send(live, job, b"<script>")
    response = live.client.get(f"/v1/jobs/{job['id']}/media")
    assert (response.headers["content-type"], response.content) == (kind, b"<script>")
    assert response.headers["content-disposition"].startswith(f'inline; filename="{shown}"; ')
    (stored,) = [name for name in live.files() if name.startswith("media")]
    assert stored.isascii()
    assert "/" not in stored


def test_a_job_takes_its_media_once(live: Live, clip: Path) -> None:
    job = add(live)
    assert [send(live, job, clip.read_bytes()).status_code for _ in range(2)] == [202, 409]
    assert send(live, {"id": "A" * 22}, b"x").status_code == send(live, {"id": "..%2f"}, b"x").status_code == 404


def test_of_two_uploads_of_one_media_the_first_complete_one_counts(live: Live, clip: Path) -> None:
    job, content = add(live), clip.read_bytes()
    go_on = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"other"
        go_on.wait(30)
        yield b"content"

    late: list[httpx.Response] = []
    thread = threading.Thread(
        target=lambda: late.append(httpx.put(f"{live.url}/v1/jobs/{job['id']}/media", content=slowly()))
    )
    thread.start()
    wait_until(lambda: any(name.startswith(".upload-") for name in live.files()))
    assert send(live, job, content).status_code == 202
    go_on.set()
    thread.join()
    assert late[0].status_code == 409
    assert live.client.get(f"/v1/jobs/{job['id']}/media").content == content
    assert finished(live, job)["state"] == "done"


def test_a_failed_upload_can_be_repeated(live: Live, clip: Path) -> None:
    job, limit = add(live), live.services.settings.max_upload
    for content, status in ((b"", 400), (b"x" * (limit + 1), 413), (iter([b"x" * limit, b"x"]), 413)):
        try:
            response = send(live, job, content)
        except (httpx.WriteError, httpx.ReadError):
            continue  # the server closed the connection first
        assert response.status_code == status
    assert live.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "waiting"
    assert live.files() == []
    json_body = live.client.put(f"/v1/jobs/{job['id']}/media", json={"a": 1})
    assert (json_body.status_code, json_body.json()["error"]["type"]) == (415, "unsupported")
    assert send(live, job, clip.read_bytes()).status_code == 202
    assert finished(live, job)["state"] == "done"


def test_an_upload_to_a_job_that_is_removed_leaves_nothing(live: Live) -> None:
    job = add(live)
    go_on = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"some"
        go_on.wait(30)
        yield b"content"

    late: list[httpx.Response] = []
    thread = threading.Thread(
        target=lambda: late.append(httpx.put(f"{live.url}/v1/jobs/{job['id']}/media", content=slowly()))
    )
    thread.start()
    wait_until(lambda: live.files() != [])
    assert live.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    go_on.set()
    thread.join()
    assert late[0].status_code == 404
    assert not (live.directory / "jobs" / job["id"]).exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": 5},
        {"name": "a\x00b"},
        {"name": "a", "labels": ["one"]},
        {"name": "a", "labels": "one,two"},
        {"name": "a", "labels": ["b"] * 2},
        {"name": "a", "labels": [f"label {k}" for k in range(201)]},
        {"name": "a", "hop": 0},
        {"name": "a", "system": "nothing"},
        {"name": "a", "system": "/etc/passwd"},
        {"name": "a", "frames": "all"},
        {"name": "a", "unknown": 1},
        [],
        "text",
    ],
)
def test_a_wrong_job_is_refused(live: Live, body: Any) -> None:
    response = live.client.post("/v1/jobs", json=body)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "usage")
    assert "\n" not in response.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"name": "\\ud800"}', b'{"name": "a", "hop": NaN}', b"\xff"])
def test_a_body_that_is_no_json_is_refused(live: Live, body: bytes) -> None:
    response = live.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["type"]) == (400, "usage")


def test_a_large_body_that_is_no_media_is_refused(live: Live) -> None:
    response = live.client.post("/v1/jobs", content=iter([b'{"name": "', b"a" * 2**21, b'"}']))
    assert (response.status_code, response.json()["error"]["type"]) == (413, "too_large")


def test_lists_are_read_page_by_page(live: Live) -> None:
    names = [add(live, f"film {number}.mp4")["name"] for number in range(5)]
    found, query = [], {"limit": "2"}
    while True:
        page = live.client.get("/v1/jobs", params=query).json()
        found += [job["name"] for job in page["jobs"]]
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert found == names[::-1]
    assert [job["name"] for job in live.client.get("/v1/jobs?search=FILM 3").json()["jobs"]] == ["film 3.mp4"]
    assert live.client.get("/v1/jobs?state=done").json() == {"jobs": [], "next": None}
    for query in ({"limit": "0"}, {"limit": "201"}, {"before": "x"}, {"state": "lost"}):
        assert live.client.get("/v1/jobs", params=query).status_code == 400


def test_there_are_at_most_five_events_a_second(live: Live) -> None:
    job = add(live)
    has_ended = threading.Event()

    def change() -> None:
        while not has_ended.wait(0.001):
            live.services.table._database.update("id = :id", "size = size + 1", {"id": job["id"]})

    changes = threading.Thread(target=change)
    changes.start()
    try:
        found = events(live, job)
        next(found)
        begin = time.monotonic()
        versions = [next(found)[2]["version"] for _ in range(4)]
        assert time.monotonic() - begin > 4 * 0.19
    finally:
        has_ended.set()
        changes.join()
    assert versions == sorted(set(versions))


def test_events_follow_a_job_and_can_be_resumed(live: Live, long_clip: Path) -> None:
    job = add(live, frames="exact")
    send(live, job, long_clip.read_bytes())
    first = []
    for event in events(live, job):
        first.append(event)
        if len(first) == 4:
            break
    versions = [int(number) for _, number, _ in first]
    assert versions == sorted(set(versions))
    assert [data["version"] for _, _, data in first] == versions
    assert {name for name, _, _ in first} == {"job"}
    later = next(events(live, job, versions[-1]))
    assert int(later[1]) > versions[-1]
    live.client.delete(f"/v1/jobs/{job['id']}")
    wait_until(lambda: live.services.runner.n_running == 0)


def test_the_events_of_a_job_end_with_it(live: Live, clip: Path) -> None:
    done = classified(live, clip)
    assert [data for _, _, data in events(live, done)] == [done]
    assert [data for _, _, data in events(live, done, done["version"] - 1)] == [done]
    address = f"{live.url}/v1/jobs/{done['id']}/events"
    assert httpx.get(address, headers={"Last-Event-ID": str(done["version"])}).status_code == 204
    assert httpx.get(address, headers={"Last-Event-ID": "x"}).status_code == 400


def test_the_removal_of_a_job_is_an_event(live: Live) -> None:
    job = add(live)
    found = events(live, job)
    assert next(found)[0] == "job"
    live.client.delete(f"/v1/jobs/{job['id']}")
    assert [name for name, _, _ in found] == ["removed"]


def test_progress_and_the_time_left(live: Live, long_clip: Path) -> None:
    job = add(live)
    send(live, job, long_clip.read_bytes())
    for _, _, data in events(live, job):
        if data["seconds_left"] is not None and data["state"] == "running":
            break
    assert (data["duration"], data["position"]) == (900.0, None)
    assert 0 < data["reached"] < 900
    assert data["seconds_left"] > 0
    assert live.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    wait_until(lambda: live.services.runner.n_running == 0)
    assert set(live.services.table.counts().values()) == {0}
    assert live.files() == []
    assert JobState.RUNNING in live.services.table.counts()
