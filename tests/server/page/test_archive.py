"""Results of `classify` on the page of a server with a token: sign in, filter, open one."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from avscene.training.train import Trained
from benchmarks.page import two_hours
from tests.support import command_line
from tests.support.browser import NARROW, check_accessible
from tests.support.page import SPANS, shown_spans, wait_for_timeline, wait_until
from tests.support.server import Serving, serve

TOKEN = "token-of-the-tests-of-the-page"
UNAUTHORIZED = ("status of 401",)


@pytest.fixture(scope="module")
def archive(
    browser: Browser, scene_system: Trained, recordings: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """A server with a token and the results of `recordings`, one of which has no media any more."""
    folder = tmp_path_factory.mktemp("archive")
    results = folder / "results.jsonl"
    (folder / "gone.wav").write_bytes((recordings / "audio.wav").read_bytes())
    system = ("--system", scene_system.directory, "--output", results)
    assert command_line.call("classify", recordings, folder / "gone.wav", "--quiet", *system) == 3  # one is broken
    (folder / "gone.wav").unlink()
    with results.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(two_hours() | {"source": "two_hours.mp4"}) + "\n")
    with serve(folder / "home", "--results", str(results), "--token", TOKEN) as serving:
        yield serving


@pytest.fixture
def signed_in(archive: Serving, visit: Callable[..., Page]) -> Page:
    page = visit(f"{archive.url}/#/archive", NARROW, allowed=UNAUTHORIZED)
    _sign_in(page, TOKEN)
    page.get_by_role("heading", name="Archive").wait_for()
    return page


def _sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Sign in").press("Enter")


def test_sign_in_and_out(archive: Serving, visit: Callable[..., Page]) -> None:
    page = visit(f"{archive.url}/#/archive", allowed=UNAUTHORIZED)
    _sign_in(page, "another-token-of-the-tests")
    page.get_by_text("This is not the token of this server.").wait_for()
    check_accessible(page)
    assert not page.context.cookies()
    _sign_in(page, TOKEN)
    page.get_by_role("heading", name="Archive").wait_for()  # the route is kept
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert TOKEN not in cookie["value"]
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token", exact=True).wait_for()
    assert not page.context.cookies()


def test_filters(signed_in: Page) -> None:
    page = signed_in
    _wait_for_total(page, "7 recordings")
    page.get_by_label("Scene", exact=True).select_option("furnace")
    _wait_for_total(page, "2 recordings")
    page.get_by_label("File").fill("gone")
    _wait_for_total(page, "1 recording")
    assert "scene=furnace" in page.url
    page.reload()  # filters are part of the address
    _wait_for_total(page, "1 recording")
    page.get_by_role("button", name="Clear filters").click()
    _wait_for_total(page, "7 recordings")
    page.get_by_label("Result").select_option("Failed")
    _wait_for_total(page, "1 recording")
    page.get_by_role("link", name="broken.mp4").click()
    page.get_by_role("heading", name="The file cannot be read").wait_for()
    page.get_by_role("link", name="Archive").last.click()
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("From", exact=True).fill("1.5")
    page.get_by_label("To", exact=True).fill("0.1")
    check_accessible(page)


def _wait_for_total(page: Page, text: str) -> None:
    page.get_by_role("status").filter(has_text=text).first.wait_for()


def test_open_one(signed_in: Page, archive: Serving) -> None:
    page = signed_in
    page.get_by_role("link", name="two_scenes.mp4").click()
    wait_for_timeline(page, "thumbnails", "waveform", "strip")
    assert [row[:2] for row in shown_spans(page)] == [("0:00 to 0:03", "cave"), ("0:03 to 0:06", "meadow")]
    page.set_viewport_size({"width": 320, "height": 640})  # the width of WCAG's criterion on reflow
    wait_until(page, "document.documentElement.scrollWidth === 320")  # once the timeline is drawn again
    page.go_back()
    page.get_by_role("link", name="gone.wav").click()
    page.get_by_text("The file of this recording is not on the server").wait_for()
    assert [row[:2] for row in shown_spans(page)] == [("0:00 to 0:03", "furnace")]
    check_accessible(page)


def test_two_hours(signed_in: Page) -> None:
    page = signed_in
    page.get_by_role("link", name="two_hours.mp4").click()
    wait_for_timeline(page, "strip")
    assert page.locator(SPANS).count() == 100  # on the first page of the table
    pages = page.get_by_role("navigation", name="Pages of spans")
    pages.get_by_role("button", name="Next").click()
    pages.get_by_text("101 to").wait_for()
    table = page.locator(".v-spans-scroll")
    assert table.evaluate("(region) => region.scrollWidth <= region.clientWidth")  # times with hours fit
