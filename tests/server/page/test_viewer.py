"""How the viewer of a result behaves: seeking, keys, zoom, tables, what screen readers get; in all of its views."""

import re
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from tests.support.browser import NARROW, WIDE, check_accessible, open_page
from tests.support.static_page import open_static, show_result

LABELS = ["airport", "bus", "metro_station", "park", "tram"]
NEEDS = {"heads": "audio", "clip": "video"}
PREVIEW = (
    b'{"duration": 60, "peaks": [[-0.5, 0.5], [-1, 1]], '
    b'"thumbnails": {"width": 1, "height": 1, "columns": 1, "times": [9]}}'
)
GIF = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")


def row(scene: int, k: int, largest: float) -> dict[str, float]:
    names = [*LABELS, *(f"scene {i}" for i in range(len(LABELS), k))][:k]
    return {name: largest if i == scene else (1 - largest) / (k - 1) for i, name in enumerate(names)}


def prediction(scenes: list[int | None], *, k: int = 5, hop: float = 1, **changes: Any) -> dict[str, Any]:
    """Return a prediction with a segment for each scene, by number; None is one that is not accepted."""
    segments = []
    for i, scene in enumerate(scenes):
        scores = row(scene or 0, k, 0.4 if scene is None else 0.9)
        names = list(scores)
        segment = {"start": hop * i, "end": hop * (i + 1), "scene": None if scene is None else names[scene]}
        segment |= {"score": max(scores.values()), "scores": scores, "mismatch": {"score": 0.02, "verdict": False}}
        segment |= {
            "familiarity": {"score": 0.5, "familiar": i % 30 > 0},
            "by_model": {"heads": scores, "clip": scores},
        }
        segments.append(segment)
    whole = row(0, k, 0.9)
    values = {"schema": "avscene/1", "source": "a.mp4", "duration": hop * len(scenes), "system": "fast"}
    values |= {"labels": list(whole), "modalities": {"audio": True, "video": True}, "scene": "airport", "score": 0.9}
    return values | {
        "scores": whole,
        "mismatch": None,
        "familiarity": None,
        "segments": segments,
        "warnings": [],
        **changes,
    }


THREE: list[int | None] = [0] * 20 + [None] * 20 + [4] * 20
MISMATCH = {"score": 0.9, "verdict": True, "prior": 0.01, "threshold": 0.5, "false_alarms": 0.25}
MISMATCH |= {"spans": [{"start": 25.0, "end": 35.0, "score": 0.97}]}


def play_head(page: Page) -> Locator:
    return page.get_by_role("slider", name="Play head")


def surface(page: Page) -> FloatRect:
    """Return where the tracks are, scrolled to."""
    play_head(page).scroll_into_view_if_needed()
    box = play_head(page).bounding_box()
    assert box is not None
    return box


def at(page: Page, share: float) -> tuple[float, float]:
    """Return the place in the middle of the tracks at a share of their width."""
    box = surface(page)
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def expect_at(page: Page, seconds: float, current: str) -> None:
    """Wait until the play head is at a time, and check which row is marked."""
    expect(play_head(page)).to_have_attribute("aria-valuenow", f"{seconds:.2f}")
    expect(page.locator("tr[aria-current=true] button")).to_have_text(current)


def test_click_keys_and_rows_move_the_play_head(browser: Browser) -> None:
    with open_page(browser) as (page, _):
        open_static(page)
        show_result(page, prediction(THREE, mismatch=MISMATCH), models=NEEDS)
        rows = page.locator(".v-spans tbody tr")
        assert [text.split() for text in rows.all_inner_texts()] == [
            *(["0:00", "to", "0:20", "airport", "0.90"], ["0:20", "to", "0:25", "unknown"]),
            *(["0:25", "to", "0:35", "unknown", "mismatch"], ["0:35", "to", "0:40", "unknown"]),
            ["0:40", "to", "1:00", "tram", "0.90"],
        ]
        expect_at(page, 0, "0:00 to 0:20")
        page.mouse.click(*at(page, 0.5))
        expect(page.locator("tr[aria-current=true] button")).to_have_text("0:25 to 0:35")
        assert float(play_head(page).get_attribute("aria-valuenow") or 0) == pytest.approx(30, abs=0.1)
        expect(page.locator("#announcements")).to_contain_text("unknown (airport 0.40, bus 0.15, ")
        expect(page.locator("#announcements")).to_contain_text("; from audio airport 0.40; from video airport 0.40;")
        expect(page.locator("#announcements")).to_contain_text("in a mismatch, probability of a mismatch 0.02")
        for key, seconds, current in [
            *(("PageDown", 35, "0:35 to 0:40"), ("PageDown", 40, "0:40 to 1:00"), ("ArrowRight", 41, "0:40 to 1:00")),
            *(("ArrowLeft", 40, "0:40 to 1:00"), ("ArrowLeft", 39, "0:35 to 0:40"), ("PageUp", 25, "0:25 to 0:35")),
            *(("End", 59, "0:40 to 1:00"), ("ArrowRight", 59, "0:40 to 1:00"), ("Home", 0, "0:00 to 0:20")),
        ]:
            page.keyboard.press(key)
            expect_at(page, seconds, current)
        page.get_by_role("button", name="0:40 to 1:00").press("Enter")
        expect_at(page, 40, "0:40 to 1:00")
        page.keyboard.press("ArrowLeft")
        expect_at(page, 39, "0:35 to 0:40")
        expect(play_head(page)).to_have_attribute("aria-valuetext", "0:39 of 1:00, unknown")
        page.mouse.move(*at(page, 0.8))
        expect(page.locator(".v-readout")).to_contain_text("Pointer")
        expect(page.locator(".v-readout")).to_contain_text("tram 0.90")
        expect_at(page, 39, "0:35 to 0:40")


def shown(page: Page) -> tuple[float, float]:
    """Return from where to where the recording is shown, as shares of it, once the last drawing is done."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    style = page.locator(".v-overview-window").evaluate("(it) => [it.style.insetInlineStart, it.style.inlineSize]")
    start, size = (float(text.rstrip("%")) / 100 for text in style)
    return start, start + size


def test_zoom_and_move(browser: Browser) -> None:
    with open_page(browser) as (page, _):
        open_static(page)
        show_result(page, prediction(THREE))
        page.mouse.move(*at(page, 0.25))
        page.mouse.wheel(0, -300)
        first, last = shown(page)
        assert last - first == pytest.approx(np.exp(-0.6), abs=0.01)
        assert (0.25 - first) / (last - first) == pytest.approx(0.25, abs=0.01), "what is under the pointer stays"
        page.keyboard.down("Shift")
        page.mouse.wheel(0, 100)
        page.keyboard.up("Shift")
        assert shown(page)[0] > first
        page.mouse.dblclick(*at(page, 0.5))
        assert shown(page) == (0, 1)
        page.get_by_role("button", name="Zoom in").click()
        assert shown(page)[1] - shown(page)[0] == pytest.approx(0.5)
        page.get_by_role("button", name="Whole recording").click()
        assert shown(page) == (0, 1)
        play_head(page).press("+")
        play_head(page).press("+")
        play_head(page).press("Shift+ArrowLeft")
        assert shown(page)[1] - shown(page)[0] == pytest.approx(0.25)
        play_head(page).press("Home")
        assert shown(page)[0] == 0, "the play head stays in sight"
        play_head(page).press("0")
        assert shown(page) == (0, 1)


PINCH = """(element) => {
  element.setPointerCapture = () => {};
  const { left, top, width } = element.getBoundingClientRect();
  const send = (type, id, share) => element.dispatchEvent(new PointerEvent(type, {
    bubbles: true, pointerId: id, pointerType: "touch", clientX: left + share * width, clientY: top + 50 }));
  for (const [type, ...shares] of [["pointerdown", 0.4, 0.6], ["pointermove", 0.2, 0.8], ["pointerup", 0.2, 0.8]]) {
    shares.forEach((share, id) => send(type, id + 7, share));
  }
}"""


def test_two_fingers_zoom_and_do_not_seek(browser: Browser) -> None:
    with open_page(browser, NARROW, has_touch=True) as (page, _):
        open_static(page)
        show_result(page, prediction(THREE))
        play_head(page).evaluate(PINCH)
        assert shown(page) == pytest.approx((1 / 3, 2 / 3), abs=0.01)
        expect_at(page, 0, "0:00 to 0:20")


def test_the_wheel_scrolls_the_page_on_if_it_began_elsewhere(browser: Browser) -> None:
    with open_page(browser, (1280, 500)) as (page, _):
        open_static(page)
        show_result(page, prediction(THREE))
        page.mouse.move(300, 30)
        page.mouse.wheel(0, 60)
        page.mouse.move(500, 330)
        page.mouse.wheel(0, 60)
        assert shown(page) == (0, 1)
        page.wait_for_timeout(300)  # a new movement of the wheel
        page.mouse.wheel(0, -60)
        assert shown(page) != (0, 1)


def test_previews_arrive_later(browser: Browser) -> None:
    with open_page(browser) as (page, _):
        answers = {"preview": ("application/json", PREVIEW), "thumbnails.jpg": ("image/gif", GIF)}
        open_static(page, answers)
        page.route("**/preview", lambda route: route.fulfill(status=202, body='{"state": "computing"}'), times=1)
        show_result(page, prediction(THREE), previewUrl="preview", thumbnailsUrl="thumbnails.jpg")
        expect(page.locator(".v-pending")).to_have_text("Preparing thumbnails and waveform …")
        expect(page.locator(".v-track.waveform")).to_be_visible()
        expect(page.locator(".v-track.thumbnails")).to_be_visible()
        expect(page.locator(".v-pending")).to_have_text("")


def test_thousands_of_segments_have_few_elements_and_pages_of_spans(browser: Browser) -> None:
    scenes: list[int | None] = [i % 3 for i in range(1000)]
    with open_page(browser) as (page, _):
        open_static(page)
        show_result(page, prediction(scenes, k=3))
        assert page.locator(".v-spans tbody tr").count() == 100
        assert page.locator("#view *").count() < 1200
        page.get_by_role("navigation", name="Pages of spans").get_by_role("button", name="Next").click()
        assert page.locator(".v-spans tbody button").first.inner_text() == "1:40 to 1:41"
        page.mouse.click(*at(page, 0.99))
        expect(page.locator("tr[aria-current=true] button")).to_contain_text(re.compile("^16:(29|30) to"))


PHOTOGRAPH = prediction([3], hop=0)
VIEWS: dict[str, dict[str, Any]] = {
    "mismatch": {"prediction": prediction(THREE, mismatch=MISMATCH), "models": NEEDS},
    "many scenes": {"prediction": prediction([i % 50 for i in range(200)], k=50)},
    "photograph": {"prediction": PHOTOGRAPH, "models": NEEDS},
}


@pytest.mark.parametrize(("view", "size"), [("mismatch", WIDE), ("many scenes", NARROW), ("photograph", NARROW)])
def test_accessible_without_errors_and_within_the_window(browser: Browser, view: str, size: tuple[int, int]) -> None:
    downloads = [{"label": "JSON", "url": "result.json"}, {"label": "CSV", "url": "result.csv"}]
    with open_page(browser, size, bypass_csp=True) as (page, _):  # axe adds styles
        open_static(page)
        show_result(page, **VIEWS[view], downloads=downloads)
        check_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"


def test_photograph_has_bars_of_each_model_and_no_time(browser: Browser) -> None:
    with open_page(browser) as (page, _):
        open_static(page, {"photo.gif": ("image/gif", GIF)})
        show_result(page, PHOTOGRAPH, models=NEEDS, mediaUrl="photo.gif", name="photo.gif")
        expect(page.get_by_role("img", name="The photograph photo.gif")).to_be_visible()
        expect(play_head(page)).to_have_count(0)
        heads = page.get_by_role("columnheader").all_inner_texts()
        assert heads == ["Scene", "Fused", "From audio", "From video"]
