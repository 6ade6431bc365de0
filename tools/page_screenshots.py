"""Take screenshots of the page after `avscene demo`: `python -m tools.page_screenshots demo [docs/images/page.png]`.

A server classifies recordings of the demo's town: a walk through several scenes, in which the audio of one is that of
another, recordings of the demo's data set, audio alone, and a file that is none. Each view is kept as PNG in
`demo/page`, on a wide and on a narrow window, light and dark. The picture of the README is one, in fewer colours.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Page

from avscene.datasets.toytown.build import write_recording
from tests.support.browser import NARROW, NO_CHROMIUM, THEMES, WIDE, chromium, find_chromium, open_page
from tests.support.page import classify_over_http, wait_for_timeline, wait_until
from tests.support.server import serve

SCENES = (
    *("park", "park", "street_pedestrian", "metro_station", "metro", "metro", "metro_station", "shopping_mall"),
    *("shopping_mall", "street_traffic", "bus", "bus", "bus", "public_square", "park"),
)
DUBBED = 12  # the position of a bus whose audio is that of a park
SECONDS = 12  # of each scene
MOMENT = 12.5 * SECONDS  # at which the play head is
NAME = "walk.mp4"
FOOTER = 100  # pixels


def write_walk(path: Path) -> Path:
    """Write a recording of several scenes, one of them with other audio."""
    audio = [*SCENES]
    audio[DUBBED] = "park"
    write_recording(path, SCENES, seconds=SECONDS, audio_scenes=audio)
    return path


def show_result(page: Page, address: str) -> None:
    """Open a finished job, with the play head at a moment in its middle."""
    page.goto(address)
    wait_for_timeline(page, "thumbnails", "waveform", "strip")
    video = "document.querySelector('video')"
    wait_until(page, f"{video}.readyState >= 1")
    page.evaluate(f"{video}.currentTime = {MOMENT}")
    wait_until(page, f"!{video}.seeking && {video}.readyState >= 2")
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(300)  # the frame of the video is painted


def take(demo: Path, folder: Path) -> list[Path]:
    """Take all screenshots, of the trained system and recordings in `demo`; return their paths."""
    town = sorted((demo / "toytown" / "video").glob("*.mp4"))[:: len(SCENES)][:4]
    broken = folder / "broken.mp4"
    with TemporaryDirectory() as home, serve(Path(home), "--system", str(demo / "system")) as serving:
        broken.write_bytes(b"this is no recording\n")
        recordings = [broken, *town, demo / "unseen.mp4", write_walk(folder / NAME)]
        ids = classify_over_http(serving.url, recordings)
        broken.unlink()
        taken = []
        with chromium() as browser:
            for size in (WIDE, NARROW):
                for theme in THEMES:
                    with open_page(browser, size, theme) as (page, _):
                        name = f"{size[0]}_{theme}.png"
                        page.goto(serving.url)
                        page.locator(".recording").nth(len(recordings) - 1).wait_for()
                        page.get_by_text("Up to 2 GB").wait_for()
                        page.screenshot(path=folder / f"recordings_{name}", full_page=True)
                        show_result(page, f"{serving.url}/#/job/{ids[NAME]}")
                        page.screenshot(path=folder / f"result_{name}", full_page=True)
                        taken += [folder / f"recordings_{name}", folder / f"result_{name}"]
    return taken


def write_picture(screenshot: Path, output: Path) -> None:
    """Write a screenshot without its empty borders, in 256 colours."""
    with Image.open(screenshot) as image:
        shown = image.crop((0, 0, image.width, image.height - FOOTER)).convert("RGB")
        output.parent.mkdir(exist_ok=True)
        shown.quantize(256, dither=Image.Dither.NONE).save(output, optimize=True)


def main() -> None:
    demo, *picture = map(Path, sys.argv[1:])
    if find_chromium() is None:
        print(f"no screenshots of the page: {NO_CHROMIUM}")
        return
    folder = demo / "page"
    folder.mkdir(exist_ok=True)
    print(f"Page:   {len(take(demo, folder))} screenshots in {folder}")
    if picture:
        write_picture(folder / "result_1280_light.png", picture[0])


if __name__ == "__main__":
    main()
