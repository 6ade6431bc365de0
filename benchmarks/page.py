"""Time the page of `avscene serve` with a result of two hours in Chromium: `python -m benchmarks.page`.

A result of 7,200 segments, ten scenes and two models is shown from memory, then zoomed and moved at every frame. The
processor time is that of all processes of Chromium, which draws without a GPU; it says what a frame costs where other
programs make the intervals between frames longer.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from avscene.labels import LabelSet
from avscene.records import Prediction, SegmentPrediction
from avscene.records.values import FloatArray
from benchmarks.__main__ import machine
from tests.support.browser import FLAGS, find_chromium
from tests.support.static_page import open_static

N_SEGMENTS, N_SCENES = 7200, 10
SECONDS_PER_SCENE = 20  # mean
WINDOWS = ((1280, 800), (390, 844), (3840, 2160))
N_FRAMES = 240
ROUNDS = 3
RESULTS = Path(__file__).with_name("page.md")
SHOW = """async (prediction) => {
  const { showViewer } = await import("/page/js/viewer/view.js");
  const models = { a: "audio", v: "video" };
  const options = { name: "a.mp4", prediction, models, mediaUrl: null, previewUrl: null, thumbnailsUrl: null };
  const start = performance.now();
  showViewer(document.getElementById("view"), options);
  const frame = () => new Promise(requestAnimationFrame);
  while (!document.querySelector(".uplot canvas")) await frame();
  await frame();
  return performance.now() - start;
}"""
# Half of the frames zoom, in and out again; half move back and forth.
MOVE = """async (frames) => {
  const surface = document.querySelector("[role=slider]");
  const { left, top, width } = surface.getBoundingClientRect();
  const intervals = [];
  let last = await new Promise(requestAnimationFrame);
  for (let n = 0; n < frames; n++) {
    const isZoom = n < frames / 2;
    const deltaY = isZoom ? (n < frames / 4 ? -20 : 12) : 0;
    const deltaX = isZoom ? 0 : n % 60 < 30 ? 15 : -15;
    const place = { clientX: left + 0.4 * width, clientY: top + 80 };
    surface.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, deltaX, deltaY, ...place }));
    const now = await new Promise(requestAnimationFrame);
    intervals.push(now - last);
    last = now;
  }
  return intervals;
}"""
PAGE = """# The page with a result of two hours

{date}; {machine}; Chromium {version} without a GPU; {load:.0f} other processes ran or waited for a processor.

Made by `python -m benchmarks.page`: {segments:,} segments of {scenes} scenes and two models. "Drawn" is the time from
the prediction to the frame in which all of it is drawn. Frames are those of {frames} steps of zooming and moving; at 60
frames a second there are 16.7 ms between two. Each number is the best of {rounds} rounds.

| window | chart | drawn | between frames: median | 95 % below | processor time of a frame |
|---|---|---|---|---|---|
{rows}
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds: until all is drawn, between frames, and of the processor for each frame."""

    drawn: float
    intervals: list[float]
    processor: float


def two_hours() -> dict[str, Any]:
    """Return a prediction whose scenes change now and then, with noise as real probabilities have it."""
    rng = np.random.default_rng(1)
    scenes = np.cumsum(rng.random(N_SEGMENTS) < 1 / SECONDS_PER_SCENE) * 7 % N_SCENES
    audio, video = (_probabilities(rng, scenes, noise) for noise in (1.6, 1.1))
    fused = np.sqrt(audio * video)
    fused /= fused.sum(axis=1, keepdims=True)
    segments = tuple(
        SegmentPrediction(i, i + 1, fused[i], by_model={"a": audio[i], "v": video[i]}, accepted=fused[i].max() > 0.4)
        for i in range(N_SEGMENTS)
    )
    labels = LabelSet(tuple(f"scene {i}" for i in range(N_SCENES)))
    modalities = {"audio": True, "video": True}
    return Prediction("a.mp4", N_SEGMENTS, "fast", labels, modalities, fused.mean(axis=0), segments).to_dict()


def _probabilities(rng: np.random.Generator, scenes: FloatArray, noise: float) -> FloatArray:
    logits = rng.normal(0, noise, (N_SEGMENTS, N_SCENES))
    logits[np.arange(N_SEGMENTS), scenes.astype(int)] += 3.5
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def measure(browser: Browser, window: tuple[int, int], chart: str, prediction: dict[str, Any]) -> Measured:
    page = browser.new_page(viewport={"width": window[0], "height": window[1]})
    open_static(page)
    drawn = page.evaluate(SHOW, prediction)
    page.get_by_label(chart).check()
    page.get_by_role("slider").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    before = _processor_seconds()
    intervals = page.evaluate(MOVE, N_FRAMES)
    processor = (_processor_seconds() - before) * 1000 / N_FRAMES
    page.close()
    return Measured(drawn, intervals, processor)


def _processor_seconds() -> float:
    """Return the processor time of all processes that this one started and that still run."""
    ticks = 0
    for process in _descendants(os.getpid()):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _descendants(process: int) -> Iterator[int]:
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            yield child
            yield from _descendants(child)


def main() -> None:
    """Measure, and write the page of results."""
    prediction = two_hours()
    rows = []
    with sync_playwright() as playwright:
        load = os.getloadavg()[0]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        for window in WINDOWS:
            for chart in ("Lines", "Areas"):
                found = [measure(browser, window, chart, prediction) for _ in range(ROUNDS)]
                drawn, processor = min(one.drawn for one in found), min(one.processor for one in found)
                median, slow = np.min([np.percentile(one.intervals, [50, 95]) for one in found], axis=0)
                times = f"{drawn:.0f} ms | {median:.1f} ms | {slow:.1f} ms | {processor:.1f} ms"
                rows.append(f"| {window[0]} x {window[1]} | {chart.lower()} | {times} |")
                print(rows[-1], flush=True)
        version = browser.version
        browser.close()
    text = PAGE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        version=version,
        load=load,
        segments=N_SEGMENTS,
        scenes=N_SCENES,
        frames=N_FRAMES,
        rounds=ROUNDS,
        rows="\n".join(rows),
    )
    RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
