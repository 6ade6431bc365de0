"""A recording on the page: dropped, classified as on the command line, played, sought, downloaded and found again."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from tests.support.archives import SHARED
from tests.support.browser import NARROW, WIDE
from tests.support.page import CommandLine, downloaded, drop, shown_spans, wait_for_timeline, wait_until
from tests.support.server import Serving

FLOWER = SHARED / "media/mdn/live-examples/media/cc0-videos/flower.mp4"
ROUNDED = 0.0051  # of a probability that is written with two decimals


def _check_spans(page: Page, expected: list[tuple[str, str, float]]) -> None:
    shown = shown_spans(page)
    assert [row[:2] for row in shown] == [row[:2] for row in expected]
    assert [row[2] for row in shown] == pytest.approx([row[2] for row in expected], abs=ROUNDED)


@pytest.mark.skipif(not FLOWER.exists(), reason="needs ../shared/media")
@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (NARROW, "dark")])
def test_real_video(
    server: Serving,
    visit: Callable[..., Page],
    command: CommandLine,
    trained: tuple[str, str],
    size: tuple[int, int],
    theme: str,
) -> None:
    page = visit(server.url, size, theme)
    drop(page, FLOWER)
    wait_for_timeline(page, "thumbnails", "waveform", "strip")
    _check_spans(page, command.spans(FLOWER, *trained))
    duration = page.evaluate("document.querySelector('video').duration")
    assert duration == pytest.approx(5.05, abs=0.1)  # the browser plays it
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]  # nothing is wider than the window
    address = page.url.rpartition("/")[2]
    page.reload()
    wait_for_timeline(page)
    page.get_by_role("link", name="All recordings").click()
    page.locator(f"a[href='#/job/{address}']").filter(has_text=FLOWER.name).wait_for()


def test_downloads(
    server: Serving,
    visit: Callable[..., Page],
    command: CommandLine,
    trained: tuple[str, str],
    recordings: Path,
    finished: dict[str, str],
    tmp_path: Path,
) -> None:
    page = visit(f"{server.url}/#/job/{finished['two_scenes.mp4']}")
    wait_for_timeline(page)
    for label, suffix, form in [
        ("JSON", "json", "json"),
        ("CSV", "csv", "csv"),
        ("WebVTT", "vtt", "vtt"),
        ("Audacity labels", "txt", "audacity"),
    ]:
        output = tmp_path / f"expected.{suffix}"
        command.text(recordings / "two_scenes.mp4", "--format", form, "--output", str(output), *trained)
        name, content = downloaded(page, label)
        assert name == f"two_scenes.{suffix}"
        if form == "csv":
            assert _rounded(content.decode()) == _rounded(output.read_text("utf-8"))
        else:
            assert content == output.read_bytes()


def _rounded(table: str) -> list[list[str]]:
    """Return the cells of CSV with numbers as JSON has them, rounded to six decimals."""
    return [[_rounded_cell(cell) for cell in row] for row in csv.reader(io.StringIO(table))]


def _rounded_cell(cell: str) -> str:
    try:
        return f"{float(cell):.6f}"
    except ValueError:
        return cell


def test_seek_by_click_and_keyboard(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(f"{server.url}/#/job/{finished['two_scenes.mp4']}")
    wait_for_timeline(page)
    wait_until(page, "document.querySelector('video').readyState >= 1")
    head = page.get_by_role("slider", name="Play head")
    _click_at(page, head, 0.75)
    assert _time_of_video(page) == pytest.approx(4.5, abs=0.05)
    assert page.locator("tr[aria-current]").get_attribute("data-scene") == "meadow"
    _point_at(page, head, 0.25)
    page.get_by_text("Pointer", exact=True).wait_for()  # the numbers under the pointer are shown
    page.mouse.move(0, 0)
    head.focus()
    for key, expected in [
        *(("ArrowLeft", 4), ("ArrowLeft", 3), ("ArrowRight", 4)),
        *(("PageUp", 0), ("PageDown", 3), ("Home", 0), ("End", 5)),
    ]:
        page.keyboard.press(key)
        assert _time_of_video(page) == pytest.approx(expected, abs=0.01), key
    assert head.get_attribute("aria-valuetext") == "0:05 of 0:06, meadow"
    page.get_by_role("button", name="0:00 to 0:03").press("Enter")
    assert _time_of_video(page) == pytest.approx(0, abs=0.01)
    head.press(" ")
    wait_until(page, "document.querySelector('video').currentTime > 0.1")  # it plays


def test_zoom(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(f"{server.url}/#/job/{finished['two_scenes.mp4']}")
    wait_for_timeline(page)
    head = page.get_by_role("slider", name="Play head")
    for zoom_in in (
        lambda: page.mouse.wheel(0, -400),
        lambda: head.press("+"),
        lambda: page.get_by_role("button", name="Zoom in").click(),
    ):
        page.get_by_role("button", name="Whole recording").click()
        _click_at(page, head, 0.5)
        zoom_in()
        _click_at(page, head, 0.01)
        assert 0.9 < _time_of_video(page) < 1.8


def _time_of_video(page: Page) -> float:
    return float(page.evaluate("document.querySelector('video').currentTime"))


def _point_at(page: Page, head: Locator, share: float) -> None:
    """Move the pointer over the timeline, to a share of its width."""
    head.scroll_into_view_if_needed()
    box = head.bounding_box()
    assert box
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def _click_at(page: Page, head: Locator, share: float) -> None:
    _point_at(page, head, share)
    page.mouse.down()
    page.mouse.up()
