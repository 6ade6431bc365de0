"""Test the routes of an archive over HTTP: lists, results in every format, media in ranges, previews, and errors."""

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks

import avscene
from avscene.server.app import build_app
from avscene.server.services import Services
from avscene.server.settings import ServerSettings
from tests.support.command_line import call
from tests.support.live_server import live_server
from tests.support.media_files import write_media
from tests.support.results import failure, prediction, write_lines

load_all_checks()


def client_of(tmp_path: Path, results: Path | None) -> TestClient:
    settings = ServerSettings(directory=tmp_path / "server", system="conse", offline=True, results=results)
    return TestClient(build_app(Services.open(settings)), base_url="http://127.0.0.1:8000")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[TestClient]:
    """Serve results of `avscene classify`, and others beside them."""
    for name in ("a.mp4", "b.mp4"):
        write_media(home / name, 3.0)
    files = ("classify", str(home / "a.mp4"), str(home / "b.mp4"), "--system", "conse")
    assert call(*files, "--output", str(home / "results/classified.jsonl")) == 0
    assert call(*files[:2], *files[3:], "--output", str(home / "a.vtt")) == 0
    assert call(*files[:2], *files[3:], "--output", str(home / "a.csv")) == 0
    assert call(*files[:2], *files[3:], "--output", str(home / "a.txt"), "--format", "audacity") == 0
    others = [
        prediction("x/tram.mp4", "tram", 0.9, mismatch=True),
        prediction("x/bus.mp4", "bus", 0.6, mismatch=False, duration=9),
        prediction("x/unknown.mp4", "bus", 0.3, accepted=False),
        failure("x/broken.mp4"),
        prediction("x/\udcff.mp4", "park", 0.8),
    ]
    write_lines(home / "results/others.jsonl", others)
    with client_of(home, home / "results") as made:
        yield made


def listed(client: TestClient, **query: object) -> list[str]:
    response = client.get("/v1/archive", params={name: str(value) for name, value in query.items()})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["total"] == len(body["recordings"])
    return [recording["source"].rpartition("/")[2] for recording in body["recordings"]]


def number_of(client: TestClient, source: str) -> int:
    (found,) = client.get("/v1/archive", params={"search": source}).json()["recordings"]
    number: int = found["number"]
    return number


def test_a_list_has_an_outline_of_each_result(client: TestClient, home: Path) -> None:
    body = client.get("/v1/archive").json()
    assert (body["total"], body["broken"]) == (7, 0)
    by_name = {recording["source"]: recording for recording in body["recordings"]}
    assert by_name["x/tram.mp4"] | {"number": 0} == {
        "number": 0,
        "source": "x/tram.mp4",
        "system": "fast",
        "duration": 4.0,
        "scene": "tram",
        "scenes": ["tram"],
        "score": 0.9,
        "unsure": False,
        "mismatch": True,
        "unfamiliar": None,
        "error": None,
        "has_media": False,
    }
    broken = by_name["x/broken.mp4"]
    assert broken["error"] == {"type": "media", "message": "x/broken.mp4: is not a media file"}
    assert (broken["system"], broken["scene"], broken["score"], broken["has_media"]) == (None, None, None, False)
    assert by_name[str(home / "a.mp4")]["has_media"] is True
    assert client.get("/v1/limits").json()["archive"] is True


def test_filters_and_orders_are_parameters(client: TestClient) -> None:
    assert listed(client, search="X/", order="-score", failed="false") == [
        *("unknown.mp4", "bus.mp4", "\\udcff.mp4", "tram.mp4")
    ]
    assert listed(client, scene="unknown") == ["unknown.mp4"]
    assert listed(client, min_score=0.59, max_score=0.81, search="x/") == ["\\udcff.mp4", "bus.mp4"]
    assert listed(client, mismatch="true") == ["tram.mp4"]
    assert listed(client, mismatch="false") == ["bus.mp4"]
    assert listed(client, failed="true") == ["broken.mp4"]
    part = client.get("/v1/archive", params={"order": "duration", "limit": 1}).json()
    assert ([found["source"] for found in part["recordings"]], part["total"]) == (["x/bus.mp4"], 7)
    assert client.get("/v1/archive", params={"search": "x/"}).json()["scenes"] == {
        "bus": 1, "park": 1, "tram": 1, "unknown": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    "query", ["order=size", "limit=0", "limit=201", "offset=-1", "min_score=2", "max_score=nan", "mismatch=maybe"]
)
def test_parameters_that_make_no_sense_are_refused(client: TestClient, query: str) -> None:
    response = client.get(f"/v1/archive?{query}")
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "usage"
    assert response.json()["error"]["message"].startswith(query.split("=", maxsplit=1)[0])


def test_a_result_is_what_classify_wrote(client: TestClient, home: Path) -> None:
    for line in (home / "results/classified.jsonl").read_text().splitlines():
        values = json.loads(line)
        number = number_of(client, values["source"])
        assert client.get(f"/v1/archive/{number}").text == line
        file = client.get(f"/v1/archive/{number}/result.json")
        assert file.text == json.dumps(values, indent=2) + "\n"
        name = Path(values["source"]).stem
        assert file.headers["content-disposition"].startswith(f'attachment; filename="{name}.json"')
    found = avscene.load("conse").classify(str(home / "a.mp4")).to_dict()
    assert client.get(f"/v1/archive/{number_of(client, '/a.mp4')}").json() == found


def test_other_formats_are_those_of_the_command_line(client: TestClient, home: Path) -> None:
    number = number_of(client, "/a.mp4")
    for name, suffix in (("vtt", "vtt"), ("audacity", "txt")):
        assert client.get(f"/v1/archive/{number}/result.{name}").content == (home / f"a.{suffix}").read_bytes()
    here, there = (
        list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
        for text in (client.get(f"/v1/archive/{number}/result.csv").text, (home / "a.csv").read_text("utf-8"))
    )
    assert [list(row) for row in here] == [list(row) for row in there]
    assert [row["scene_label"] for row in here] == [row["scene_label"] for row in there]
    for ours, theirs in zip(here, there, strict=True):
        assert float(ours["score"]) == pytest.approx(float(theirs["score"]), abs=1e-6)  # JSON has six decimals


def test_a_failure_is_a_record_without_segments(client: TestClient) -> None:
    number = number_of(client, "broken")
    response = client.get(f"/v1/archive/{number}")
    assert (response.status_code, response.json()) == (200, failure("x/broken.mp4").to_dict())
    assert client.get(f"/v1/archive/{number}/result.vtt").status_code == 404
    assert client.get(f"/v1/archive/{number}/media").status_code == 404


def test_names_that_are_no_valid_text_are_answered(client: TestClient) -> None:
    (found,) = (r for r in client.get("/v1/archive").json()["recordings"] if r["source"] == "x/\\udcff.mp4")
    for part in ("", "/result.json", "/result.csv", "/result.vtt"):
        assert client.get(f"/v1/archive/{found['number']}{part}").status_code == 200


def test_media_is_sent_in_ranges(client: TestClient, home: Path) -> None:
    address = f"/v1/archive/{number_of(client, '/b.mp4')}/media"
    content = (home / "b.mp4").read_bytes()
    whole = client.get(address)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, content, "video/mp4")
    assert whole.headers["content-security-policy"] == "sandbox; default-src 'none'"
    part = client.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert client.get(address, headers={"Range": f"bytes={len(content)}-"}).status_code == 416
    assert client.head(address).headers["content-length"] == str(len(content))
    assert client.get(f"/v1/archive/{number_of(client, 'x/tram')}/media").status_code == 404


def test_previews_are_computed(client: TestClient) -> None:
    number = number_of(client, "/a.mp4")
    end = time.monotonic() + 30
    while (response := client.get(f"/v1/archive/{number}/preview")).status_code == 202:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert response.json()["duration"] == pytest.approx(3, abs=0.1)
    assert client.get(f"/v1/archive/{number}/thumbnails.jpg").content.startswith(b"\xff\xd8")
    assert client.get(f"/v1/archive/{number_of(client, 'x/bus')}/preview").status_code == 404


@pytest.mark.parametrize("part", ["", "/media", "/preview", "/thumbnails.jpg", "/result.json"])
def test_numbers_that_no_recording_has(client: TestClient, part: str) -> None:
    assert client.get(f"/v1/archive/{2**40}{part}").status_code == 404
    for number in ("0", "-1", str(2**70), "a.mp4"):
        assert client.get(f"/v1/archive/{number}{part}").status_code == 400


def test_results_that_were_changed_are_a_conflict(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "r.jsonl", [prediction("a.mp4")])
    with client_of(tmp_path, path) as client:
        write_lines(path, [prediction("other.mp4")])
        response = client.get("/v1/archive/1")
        assert (response.status_code, response.json()["error"]["type"]) == (409, "conflict")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", schemathesis.GenerationMode)
def test_generated_requests_get_documented_answers(tmp_path: Path, mode: schemathesis.GenerationMode) -> None:
    media = write_media(tmp_path / "a.wav", 0.5)
    results = write_lines(tmp_path / "r.jsonl", [prediction(str(media)), prediction("b.mp4"), failure("c.mp4")])
    served = ServerSettings(directory=tmp_path / "server", system="conse", offline=True, results=results)
    with live_server(served) as live:
        schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
        for found in schema.include(path_regex="^/v1/archive").get_all_operations():
            strategy = found.ok().as_strategy(generation_mode=mode)

            @settings(max_examples=60, deadline=None, derandomize=True, database=None)
            @given(case=strategy, number=st.integers(1, 4))
            def send(case: schemathesis.Case, number: int) -> None:
                if mode is schemathesis.GenerationMode.POSITIVE and "number" in case.path_parameters:
                    case.path_parameters["number"] = number
                case.call_and_validate(excluded_checks=[CHECKS.get_one("positive_data_acceptance")])

            send()


@pytest.mark.parametrize("part", ["", "/1", "/1/media", "/1/preview", "/1/result.json"])
def test_without_an_archive_there_is_none(tmp_path: Path, part: str) -> None:
    with client_of(tmp_path, None) as client:
        response = client.get(f"/v1/archive{part}")
        assert response.status_code == 404
        assert "--results" in response.json()["error"]["message"]
