"""Test who may use the server: tokens and cookies, names of the server, pages of other sites, and headers."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from avscene.server.security import Guard
from avscene.server.settings import ServerSettings
from tests.support.live_server import Live, live_server

TOKEN = "a-token-of-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OTHER = "https://scenes.example.org"
JOB = {"name": "film.mp4"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with a token, which pages of another site may use."""
    directory = tmp_path_factory.mktemp("guarded")
    settings = ServerSettings(directory=directory, system="conse", token=TOKEN, allowed_origins=(OTHER,))
    with live_server(settings) as live:
        yield live


def addresses(live: Live) -> Iterator[tuple[str, str]]:
    """Yield the method and the address of everything that the server answers."""
    document = live.client.get("/openapi.json", headers=BEARER).json()
    for path, operations in document["paths"].items():
        filled = re.sub(r"\{(\w+)\}", lambda found: "json" if found[1] == "format" else "A" * 22, path)
        yield from ((method.upper(), filled) for method in operations)
    yield from (("GET", path) for path in ("/", "/page/index.html", "/page/js/main.js", "/openapi.json", "/nothing"))


def test_without_the_token_only_health_and_the_sign_in_answer(guarded: Live) -> None:
    found = list(addresses(guarded))
    assert len(found) > 15
    is_open = {("GET", "/healthz"): 200, ("POST", "/v1/session"): 400}  # the body is missing
    for method, path in found:
        response = guarded.client.request(method, path)
        assert response.status_code == is_open.get((method, path), 401), (method, path)
        if response.status_code == 401:
            assert response.headers["www-authenticate"] == "Bearer"
            if path != "/":
                assert response.json()["error"]["type"] == "unauthorized"
        allowed = guarded.client.request(method, path, headers=BEARER)
        assert allowed.status_code != 401, (method, path)


def test_the_document_states_what_needs_the_token(guarded: Live, live: Live) -> None:
    def secured(one: Live) -> dict[str, bool]:
        paths = one.client.get("/openapi.json", headers=BEARER).json()["paths"]
        return {f"{method} {path}": "security" in found for path in paths for method, found in paths[path].items()}

    assert [name for name, is_secured in secured(guarded).items() if not is_secured] == [
        "post /v1/session",
        "get /healthz",
    ]
    assert not any(secured(live).values())


def test_the_address_of_the_page_answers_with_the_sign_in(guarded: Live) -> None:
    response = guarded.client.get("/", headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["content-type"]) == (401, "text/html; charset=utf-8")
    needed = re.findall(r"""(?:src|href)="/?(page/[^"]+)""", response.text)
    assert needed
    assert {guarded.client.get(f"/{path}").status_code for path in needed} == {200}


@pytest.mark.parametrize(
    "given",
    ["Bearer wrong-token-of-this-test", f"Basic {TOKEN}", TOKEN, "Bearer", f"Bearer {TOKEN} x", f"Bearer {TOKEN[:-1]}"],
)
def test_another_token_is_refused(guarded: Live, given: str) -> None:
    assert guarded.client.get("/v1/jobs", headers={"Authorization": given}).status_code == 401


def test_a_session(guarded: Live) -> None:
    with httpx.Client(base_url=guarded.url) as browser:
        wrong = browser.post("/v1/session", json={"token": "b" * 20})
        assert (wrong.status_code, browser.cookies) == (401, httpx.Cookies())
        entered = browser.post("/v1/session", json={"token": TOKEN}, headers={"Origin": guarded.url})
        assert entered.status_code == 204
        cookie = entered.headers["set-cookie"]
        assert re.search("httponly", cookie, re.IGNORECASE)
        assert re.search("samesite=strict", cookie, re.IGNORECASE)
        assert "; secure" not in cookie.lower()  # the page came over HTTP
        assert TOKEN not in cookie
        assert browser.get("/v1/jobs").status_code == browser.get("/").status_code == 200
        assert browser.delete("/v1/session").status_code == 204
        assert browser.get("/v1/jobs").status_code == 401


def test_the_cookie_of_a_page_over_https_is_sent_over_https_only(guarded: Live) -> None:
    origin = f"https://127.0.0.1:{guarded.port}"
    response = httpx.post(f"{guarded.url}/v1/session", json={"token": TOKEN}, headers={"Origin": origin})
    assert "; secure" in response.headers["set-cookie"].lower()


def test_sessions_end_and_cannot_be_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    guard, other = (Guard(ServerSettings(token=token)) for token in (TOKEN, TOKEN + "2"))
    value = guard.new_session()
    expires, signature = value.split(".")

    def is_accepted(cookie: str, by: Guard = guard) -> bool:
        return by.is_authorized({"cookie": f'a={{"b": 1}}; avscene_session={cookie}; c'})

    assert is_accepted(value)
    assert not is_accepted(value, other)
    for forged in (
        f"{int(expires) + 1}.{signature}",
        f"{expires}.",
        signature,
        f"{expires}.{'0' * 64}",
        "",
        ".",
        "ü.ü",
    ):
        assert not is_accepted(forged)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86400)
    assert not is_accepted(value)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1", "a/b"],
)
def test_a_page_that_lets_its_name_point_here_is_refused(live: Live, host: str) -> None:
    response = live.client.get("/v1/jobs", headers={"Host": host.format(port=live.port)})
    assert (response.status_code, response.json()["error"]["type"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:{port}", "127.0.0.1:1", "[::1]:{port}"])
def test_names_of_this_machine_are_accepted(live: Live, host: str) -> None:
    assert live.client.get("/v1/jobs", headers={"Host": host.format(port=live.port)}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 201),
        ("{url}", 201),
        ("https://127.0.0.1:{port}", 201),  # a proxy speaks HTTPS
        ("http://evil.example", 403),
        ("http://127.0.0.1:1", 403),  # another server on this machine
        ("null", 403),
        (OTHER, 403),
    ],
)
def test_pages_of_other_sites_change_nothing(live: Live, origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"Origin": origin.format(url=live.url, port=live.port)}
    response = live.client.post("/v1/jobs", json=JOB, headers=headers)
    assert response.status_code == status
    assert len(live.client.get("/v1/jobs").json()["jobs"]) == (status == 201)
    assert "access-control-allow-origin" not in response.headers


def test_a_form_of_another_site_is_refused(live: Live, clip: Path) -> None:
    form = {"file": clip.read_bytes()}
    response = live.client.post("/v1/classify", files=form, headers={"Origin": "http://evil.example"})
    assert (response.status_code, live.files()) == (403, [])


def test_pages_of_an_allowed_site_may_use_the_server(guarded: Live) -> None:
    asked = {"Origin": OTHER, "Access-Control-Request-Method": "POST"}
    preflight = guarded.client.options("/v1/jobs", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == OTHER
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    response = guarded.client.post("/v1/jobs", json=JOB, headers={"Origin": OTHER, **BEARER})
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (201, OTHER)
    assert "access-control-allow-credentials" not in response.headers  # cookies are for the own page
    other = guarded.client.options("/v1/jobs", headers={**asked, "Origin": "https://evil.example"})
    assert other.status_code == 401
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/", "/v1/jobs", "/nothing", "/v1/jobs/" + "A" * 22, "/page/style.css", "/metrics"])
def test_every_response_has_the_security_headers(live: Live, path: str) -> None:
    for response in (live.client.get(path), live.client.get(path, headers={"Host": "evil.example"})):
        assert HEADERS.items() <= dict(response.headers).items()


def test_faults_of_the_server_have_the_security_headers_and_no_traceback(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.services.table, "counts", lambda: {}["a secret path"])
    response = live.client.get("/readyz")
    assert (response.status_code, response.json()["error"]["type"]) == (500, "server")
    assert "secret" not in response.text
    assert HEADERS.items() <= dict(response.headers).items()


def test_a_request_that_is_no_http_gets_an_error(live: Live) -> None:
    with socket.create_connection(("127.0.0.1", live.port)) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
