"""What the page shows of files of other kinds: audio alone, video alone, a photograph, and a file that is none."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from tests.support.page import drop, shown_spans, wait_for_timeline, wait_until
from tests.support.server import Serving


def test_audio_alone(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(f"{server.url}/#/job/{finished['audio.wav']}")
    wait_for_timeline(page, "waveform")
    wait_until(page, "document.querySelector('audio').duration > 2.9")
    assert page.locator("video").count() == page.locator(".v-track.thumbnails").count() == 0
    assert [row[:2] for row in shown_spans(page)] == [("0:00 to 0:03", "furnace")]
    page.get_by_text("from audio", exact=False).first.wait_for()


def test_video_alone(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(f"{server.url}/#/job/{finished['silent.mp4']}")
    wait_for_timeline(page, "thumbnails")
    wait_until(page, "document.querySelector('video').videoWidth === 64")
    assert page.locator(".v-track.waveform").count() == 0
    assert [row[:2] for row in shown_spans(page)] == [("0:00 to 0:03", "meadow")]


def test_photograph(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(f"{server.url}/#/job/{finished['photograph.png']}")
    page.get_by_role("img", name="The photograph photograph.png").wait_for()
    wait_until(page, "document.querySelector('.viewer img').naturalWidth === 64")
    assert page.locator(".v-bars tbody tr").first.inner_text().split()[0] == "cave"
    assert page.get_by_role("slider").count() == 0


def test_broken_file(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(f"{server.url}/#/job/{finished['broken.mp4']}")
    page.get_by_role("heading", name="The file cannot be read").wait_for()
    assert "broken.mp4: " in page.locator(".failure .message").inner_text()


def test_codec_that_the_browser_lacks(server: Serving, visit: Callable[..., Page], finished: dict[str, str]) -> None:
    page = visit(server.url)
    page.route("**/media", lambda route: route.fulfill(body=b"no video", content_type="video/mp4"))
    page.goto(f"{server.url}/#/job/{finished['two_scenes.mp4']}")
    page.get_by_text("This browser cannot play the format of this recording").wait_for()
    page.get_by_role("button", name="0:03 to 0:06").click()  # the play head works without a player
    assert page.get_by_role("slider").get_attribute("aria-valuenow") == "3.00"


def test_file_that_no_server_would_take(server: Serving, visit: Callable[..., Page], tmp_path: Path) -> None:
    empty = tmp_path / "empty.mp4"
    empty.touch()
    page = visit(server.url)
    drop(page, empty)
    page.get_by_text("empty.mp4 is empty.").wait_for()
