"""Every view on a wide and a narrow window: axe finds no violation in either scheme, and keys reach everything."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.support.browser import NARROW, WIDE, check_accessible
from tests.support.page import wait_for_timeline
from tests.support.server import Serving

SMALLEST = (360, 640)
# Return what a person can use on the page, in words: what the Tab key should reach. One of a group of radio buttons is.
USABLE = """() => {
  const shown = [...document.querySelectorAll('a[href], button, input, select, summary, video, audio, [tabindex="0"]')]
    .filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.disabled && node.tabIndex >= 0);
  window.usable = shown.filter((node) => node.type !== 'radio' || node.checked);
  return window.usable.length;
}"""
REACHED = "() => window.usable.indexOf(document.activeElement)"
VIEWS = ["two_scenes.mp4", "audio.wav", "photograph.png", "broken.mp4"]


def _open(page: Page, server: Serving, finished: dict[str, str], name: str) -> None:
    page.goto(f"{server.url}/#/job/{finished[name]}")
    if name in ("two_scenes.mp4", "audio.wav"):
        wait_for_timeline(page, "waveform", "strip")
    page.locator(".viewer, .failure").first.wait_for()


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_no_violation(
    server: Serving, visit: Callable[..., Page], finished: dict[str, str], size: tuple[int, int]
) -> None:
    page = visit(server.url, size)
    page.locator(".recording").first.wait_for()
    page.get_by_text("Up to 2 GB").wait_for()
    check_accessible(page)
    page.get_by_role("button", name="Change").click()
    page.get_by_role("dialog").wait_for()
    check_accessible(page)
    page.keyboard.press("Escape")
    for name in VIEWS:
        _open(page, server, finished, name)
        page.evaluate("document.querySelectorAll('details').forEach((node) => (node.open = true))")
        check_accessible(page)
    page.goto(f"{server.url}/#/nowhere")
    page.get_by_role("heading", name="There is no page here").wait_for()
    check_accessible(page)


def test_fits_the_smallest_window(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(server.url, SMALLEST)
    for name in VIEWS:
        _open(page, server, finished, name)
        assert page.evaluate("document.documentElement.scrollWidth") == SMALLEST[0], name


def test_keys_reach_everything(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(server.url)
    page.locator(".recording").first.wait_for()
    _check_tab(page)
    _open(page, server, finished, "two_scenes.mp4")
    _check_tab(page)


def _check_tab(page: Page) -> None:
    """Press Tab until the focus comes round; each thing must have had it, and shown that it has."""
    page.evaluate("document.activeElement.blur()")
    count = page.evaluate(USABLE)
    reached = set()
    for _ in range(2 * count + 20):  # the browser's player has buttons of its own
        page.keyboard.press("Tab")
        reached.add(page.evaluate(REACHED))
        if len(reached - {-1}) == count:
            break
    missing = set(range(count)) - reached
    assert not missing, page.evaluate("(missing) => missing.map((i) => window.usable[i].outerHTML)", sorted(missing))
