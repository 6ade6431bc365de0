"""Test the routes for operators and for the page: health, metrics, systems, limits, and the files of the page."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import avscene
from avscene.models.registry import systems
from tests.support.live_server import Live


def test_health(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/healthz", "/readyz"):
        assert live.client.get(path).json() == {"status": "ok"}
    live.services.stopping.set()
    try:
        assert [live.client.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 503]
    finally:
        live.services.stopping.clear()


def test_metrics_are_those_of_prometheus(live: Live) -> None:
    for _ in range(3):
        live.client.get("/v1/limits")
    live.client.get("/nothing/like/this")
    live.client.post("/v1/jobs", json={"name": "a.mp4"})
    response = live.client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    requests = {tuple(sample.labels.values()): sample.value for sample in families["avscene_http_requests"].samples}
    assert requests["GET", "/v1/limits", "200"] >= 3
    assert requests["GET", "other", "404"] >= 1
    jobs = {sample.labels["state"]: sample.value for sample in families["avscene_jobs"].samples}
    assert jobs == {"waiting": 1, "queued": 0, "running": 0, "done": 0, "failed": 0}


def test_systems_and_limits(live: Live) -> None:
    found = live.client.get("/v1/systems").json()
    assert found["default"] == "conse"
    by_name = {row["name"]: row for row in found["systems"]}
    assert set(by_name) == set(systems())
    assert (by_name["conse"]["weights"], by_name["conse"]["zero_shot"]) == ("available", True)
    assert by_name["fast"]["weights"] == "untrained"
    limits = live.client.get("/v1/limits").json()
    assert (limits["max_upload"], limits["archive"], limits["token"]) == (4 * 2**20, False, False)
    assert "mp4" in limits["suffixes"]


def test_the_files_of_the_page(live: Live) -> None:
    index = live.client.get("/")
    assert (index.status_code, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert index.text == live.client.get("/page/index.html").text
    files = re.findall(r"""(?:src|href)="/?(page/[^"]+)""", index.text)
    types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    for path in files:
        response = live.client.get(f"/{path}")
        assert (response.status_code, response.headers["content-type"]) == (200, types[path.rpartition(".")[2]])
        assert response.headers["cache-control"] == "no-cache"
        again = live.client.get(f"/{path}", headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert live.client.head(f"/{path}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "../__init__.py",
        "..%2f__init__.py",
        "%2e%2e/settings.py",
        "js/../../settings.py",
        "..%5csettings.py",
        "%2fetc%2fpasswd",
        "/etc/hostname.txt",
        "nothing.js",
        "js",
        "",
        "a%00.js",
        "x" * 5000 + ".js",
        ".hidden.js",
    ],
)
def test_nothing_else_is_served(live: Live, path: str) -> None:
    response = live.client.get(f"/page/{path}")
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found")


def test_an_address_has_one_form(live: Live) -> None:
    assert live.client.get("/healthz/").status_code == 404
    assert live.client.get("//v1/jobs").status_code == 404


def test_a_body_that_is_no_json_is_named(live: Live) -> None:
    answer = live.client.post("/v1/jobs", content=b'{"name": ', headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "usage")
    assert answer.json()["error"]["message"].startswith("the body is not JSON: ")


def test_files_beside_the_page_are_not_served(live: Live, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    outside = Path(avscene.__file__).parent / "reports" / "report.css"
    assert outside.is_file()
    for path in (
        "..%2f..%2freports%2freport.css",
        "js%2f..%2f..%2f..%2freports%2freport.css",
        f"{tmp_path}/secret.txt",
    ):
        assert live.client.get(f"/page/{path}").status_code == 404, path


def test_the_page_is_not_larger_than_its_files(live: Live) -> None:
    page = Path(__file__).parents[3] / "src" / "avscene" / "server" / "page"
    assert live.client.get("/page/style.css").content == (page / "style.css").read_bytes()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "TRACE", "BREW"])
def test_other_methods_are_refused(live: Live, method: str) -> None:
    response = live.client.request(method, "/v1/jobs/" + "A" * 22)
    assert (response.status_code, response.headers["allow"]) == (405, "DELETE, GET")
    assert response.json()["error"]["type"] == "usage"
