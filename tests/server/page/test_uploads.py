"""How the page sends files: refusals, a full queue, interruptions, many uploads; and the list that they end in."""

import itertools
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, FilePayload, Page, Request, Route, expect

from tests.support.browser import open_page
from tests.support.static_page import ADDRESS, serve_static

LIMITS = {"max_upload": 5000, "max_duration": 3600, "keep": 7, "suffixes": ["mp4"], "archive": False, "token": False}
SYSTEM = {"name": "conse", "title": "Zero-shot", "kind": "zero_shot", "needs": "video", "zero_shot": True}
SYSTEMS = {"default": "conse", "systems": [SYSTEM | {"weights": "available", "note": "", "labels": ["park", "tram"]}]}
FACTS: dict[str, Any] = dict.fromkeys(
    ("started", "finished", "labels", "hop", "position", "duration", "seconds_left", "scene", "scenes")
) | dict.fromkeys(("score", "unsure", "mismatch", "modalities", "models", "error"))
LOST = ("ERR_", "status of 4", "status of 503")  # in the errors that Chromium logs for requests that fail


class Jobs:
    """A server of jobs in the browser: `refusals` are the next answers to POST or PUT, by method; None is no answer."""

    def __init__(self, page: Page) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, list[tuple[int, str] | None]] = {"POST": [], "PUT": []}
        self.asked: list[str] = []
        self._numbers = itertools.count()
        page.route(f"{ADDRESS}v1/**", self._answer)
        page.route(f"{ADDRESS}healthz", lambda route: route.fulfill(json={}))

    def add(self, name: str, **facts: Any) -> dict[str, Any]:
        number = next(self._numbers)
        created = f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z"
        job = FACTS | {"id": f"job-{number}", "name": name, "state": "waiting", "created": created}
        job |= {"size": 0, "system": "conse", "frames": "exact", "reached": 0, "attempts": 0, "version": 1, **facts}
        self.jobs[job["id"]] = job
        return job

    def change(self, job: dict[str, Any], **facts: Any) -> None:
        job.update(facts, version=job["version"] + 1)

    def _answer(self, route: Route, request: Request) -> None:
        path = urlsplit(request.url).path.removeprefix("/v1/")
        self.asked.append(f"{request.method} {path}")
        refusals = self.refusals.get(request.method)
        if refusals:
            refusal = refusals.pop(0)
            if refusal is None:
                route.abort()
                return
            error = {"error": {"type": refusal[1], "message": "refused"}}
            route.fulfill(status=refusal[0], json=error, headers={"Retry-After": "1"})
        elif path in ("limits", "systems"):
            route.fulfill(json=LIMITS if path == "limits" else SYSTEMS)
        elif path == "jobs" and request.method == "GET":
            query = parse_qs(urlsplit(request.url).query)
            first, limit = int(query.get("before", ["0"])[0]), int(query["limit"][0])
            newest = sorted(self.jobs.values(), key=lambda job: str(job["created"]), reverse=True)
            cursor = str(first + limit) if len(newest) > first + limit else None
            route.fulfill(json={"jobs": newest[first : first + limit], "next": cursor})
        elif path == "jobs":
            route.fulfill(status=201, json=self.add(json.loads(request.post_data or "")["name"]))
        else:
            self._answer_one(route, request, path.split("/")[1], path.rpartition("/")[2])

    def _answer_one(self, route: Route, request: Request, identity: str, part: str) -> None:
        job = self.jobs.get(identity)
        if job is None:
            route.fulfill(status=404, json={"error": {"type": "not_found", "message": "no such job"}})
        elif request.method == "DELETE":
            del self.jobs[identity]
            route.fulfill(status=204)
        elif part == "media":
            self.change(job, state="failed", error={"type": "media", "message": f"{job['name']}: is no recording"})
            route.fulfill(status=202, json=job)
        elif part == "events":
            route.fulfill(status=503, json={"error": {"type": "busy", "message": "no events"}})  # the page then polls
        else:
            route.fulfill(json=job)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with open_page(browser) as (page, observed):
        observed.allowed.extend(LOST)
        yield page


@pytest.fixture
def jobs(page: Page) -> Jobs:
    index = (files("avscene.server") / "page/index.html").read_bytes()
    serve_static(page, {"": ("text/html", index)})
    jobs = Jobs(page)
    page.goto(ADDRESS)
    return jobs


def media(name: str, size: int = 100, kind: str = "video/mp4") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": b"0" * size}


def choose(page: Page, *chosen: FilePayload) -> None:
    page.locator("#files").set_input_files(list(chosen))


def test_refused_before_anything_is_sent(page: Page, jobs: Jobs) -> None:
    choose(page, media("large.mp4", 5001), media("text.txt", kind="text/plain"), media("empty.mp4", 0))
    expect(page.locator(".outcome .message")).to_have_text(
        [
            "empty.mp4 is empty.",
            "text.txt is neither video nor audio nor a photograph.",
            "large.mp4 has 4.9 kB; the server takes files of up to 4.9 kB.",
        ]
    )
    assert not [request for request in jobs.asked if not request.startswith("GET")]
    page.get_by_role("button", name="Remove text.txt from the list").click()
    expect(page.locator(".recording")).to_have_count(2)


def test_full_queue_is_tried_again_when_the_server_asks(page: Page, jobs: Jobs) -> None:
    jobs.refusals["POST"] = [(429, "busy"), (429, "busy")]
    choose(page, media("one.mp4"))
    expect(page.locator(".progress")).to_contain_text("The queue is full: tries again in 1 s")
    expect(page).to_have_title(re.compile("^one.mp4 "))  # the only file opens its own view
    expect(page.get_by_role("heading", name="The file cannot be read")).to_be_visible()
    assert jobs.asked.count("POST jobs") == 3
    assert jobs.asked.count("PUT jobs/job-0/media") == 1


def test_interrupted_upload_goes_on(page: Page, jobs: Jobs) -> None:
    jobs.refusals["PUT"] = [None]
    choose(page, media("one.mp4"))
    expect(page.locator(".progress")).to_contain_text("Interrupted: tries again")
    expect(page.get_by_role("heading", name="The file cannot be read")).to_be_visible()
    assert jobs.asked.count("POST jobs") == 1  # the same job
    assert list(jobs.jobs) == ["job-0"]


def test_refused_upload_leaves_no_job(page: Page, jobs: Jobs) -> None:
    jobs.refusals["PUT"] = [(415, "unsupported")]
    choose(page, media("one.mp4"))
    expect(page.get_by_role("heading", name="This kind of file cannot be classified")).to_be_visible()
    expect(page.locator(".failure .message")).to_have_text("refused")
    page.wait_for_timeout(100)
    assert not jobs.jobs
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".recording .message")).to_have_text("is no recording")
    assert list(jobs.jobs) == ["job-1"]


def test_jobs_beyond_the_first_page_are_followed(page: Page, jobs: Jobs) -> None:
    first = jobs.add("first.mp4", state="queued", position=0)
    for i in range(55):
        jobs.add(f"{i}.mp4", state="failed")
    page.reload()
    expect(page.locator(".recording")).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    row = page.locator(".recording", has_text="first.mp4")
    expect(row).to_contain_text("Queued: next")
    jobs.change(first, state="done", scene="tram", scenes=["tram"], score=0.97, duration=5)
    expect(row).to_contain_text("tram0.97")


def test_return_to_the_place_in_the_list(page: Page, jobs: Jobs) -> None:
    for i in range(60):
        jobs.add(f"{i}.mp4", state="failed", error={"type": "media", "message": "no recording"})
    page.reload()
    link = page.get_by_role("link", name="30.mp4")
    link.scroll_into_view_if_needed()
    place = page.evaluate("scrollY")
    link.press("Enter")
    expect(page.get_by_role("heading", level=1, name="30.mp4")).to_be_focused()
    page.get_by_role("link", name="All recordings").press("Enter")
    expect(link).to_be_focused()
    assert page.evaluate("scrollY") == place > 0


def test_upload_of_a_closed_window_goes_on(page: Page, jobs: Jobs) -> None:
    job = jobs.add("one.mp4")
    page.goto(f"{ADDRESS}#/job/{job['id']}")
    picker = page.get_by_label("The file one.mp4")
    picker.set_input_files([media("other.mp4")])
    expect(page.get_by_role("alert").filter(has_text="This is other.mp4, not one.mp4.")).to_be_visible()
    picker.set_input_files([media("one.mp4")])
    expect(page.get_by_role("heading", name="The file cannot be read")).to_be_visible()
    assert "POST jobs" not in jobs.asked


def test_many_uploads_wait_while_the_queue_is_full(page: Page, jobs: Jobs) -> None:
    jobs.refusals["POST"] = [(429, "busy")] * 2
    choose(page, *(media(f"{i}.mp4") for i in range(30)))
    expect(page.locator(".rest")).to_have_text("8 more uploads wait.")
    assert jobs.asked.count("POST jobs") == 2  # the others are not tried meanwhile
    expect(page.locator(".recording[data-state=failed]")).to_have_count(30, timeout=15_000)
    assert len(jobs.jobs) == 30


def test_failed_deletion_is_shown(page: Page, jobs: Jobs) -> None:
    jobs.add("one.mp4", state="failed")
    page.reload()
    jobs.refusals["DELETE"] = [(403, "forbidden")]
    page.get_by_role("button", name="Delete one.mp4").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog", name="The recording was not deleted")).to_contain_text("refused")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("link", name="one.mp4")).to_be_visible()
