"""Use the page as a person does: drop files, wait for results, read the table of spans, download."""

import base64
import csv
import io
import mimetypes
import time
from collections.abc import Iterable
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page

from tests.support import command_line
from tests.support.browser import DEADLINE
from tests.support.media_files import Writer
from tests.support.scene_data import FPS, scene_audio, scene_image

SPANS = ".v-spans tbody tr"
# A drop as a browser makes it, with the real content of the files.
TRANSFER = """files => {
  const transfer = new DataTransfer();
  for (const { name, type, content } of files) {
    const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  return transfer;
}"""


def write_two_scenes(path: Path, scenes: tuple[str, str] = ("cave", "meadow"), seconds: int = 3) -> Path:
    """Write a recording of two scenes, one after the other."""
    random = np.random.default_rng(5)
    images = [scene_image(scene, random) for scene in scenes for _ in range(seconds * FPS)]
    audio = np.concatenate([scene_audio(scene, random, seconds) for scene in scenes])
    return Writer(path).video(images, [k / FPS for k in range(len(images))], fps=FPS, gop=4).audio(audio).save()


def drop(page: Page, *paths: Path) -> None:
    """Drop files on the page."""
    files = [
        {
            "name": path.name,
            "type": mimetypes.guess_type(path.name)[0] or "",
            "content": base64.b64encode(path.read_bytes()).decode(),
        }
        for path in paths
    ]
    transfer = page.evaluate_handle(TRANSFER, files)
    page.dispatch_event("main", "drop", {"dataTransfer": transfer})


def wait_for_timeline(page: Page, *tracks: str) -> None:
    """Wait until the result and these rows of its timeline are shown, by their classes."""
    page.locator(SPANS).first.wait_for()
    for track in ("chart", *tracks):
        page.locator(f".v-track.{track}").first.wait_for()


def wait_until(page: Page, condition: str) -> None:
    """Wait until an expression of JavaScript is true.

    Playwright's `wait_for_function` calls `eval` from the page, which its content security policy forbids.
    """
    deadline = time.monotonic() + DEADLINE / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def shown_spans(page: Page) -> list[tuple[str, str, float]]:
    """Return the rows of the table of spans: their times as shown, scene and probability."""
    rows = page.eval_on_selector_all(
        SPANS, "rows => rows.map((row) => [row.cells[0].innerText, row.dataset.scene, row.cells[2].innerText])"
    )
    return [(times, scene, float(score)) for times, scene, score in rows]


def downloaded(page: Page, label: str) -> tuple[str, bytes]:
    """Follow a link of the downloads; return the name of the file and its content."""
    with page.expect_download() as download:
        page.get_by_role("group", name="Download").get_by_role("link", name=label, exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def classify_over_http(url: str, paths: Iterable[Path]) -> dict[str, str]:
    """Classify files as jobs, without the page; return their ids by name once all are done or failed."""
    with httpx.Client(base_url=url) as client:
        ids = {}
        for path in paths:
            job = client.post("/v1/jobs", json={"name": path.name}).raise_for_status().json()
            client.put(f"/v1/jobs/{job['id']}/media", content=path.read_bytes()).raise_for_status()
            ids[path.name] = job["id"]
        for identity in ids.values():
            while client.get(f"/v1/jobs/{identity}").json()["state"] not in ("done", "failed"):
                time.sleep(0.05)
    return ids


class CommandLine:
    """`avscene classify` in the folder of a file, whose name alone is then the source, as on the server."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def text(self, path: Path, *options: str) -> str:
        """Return what the command prints about a file."""
        self.monkeypatch.chdir(path.parent)
        run = command_line.run(self.capsys, "classify", path.name, "--quiet", *options)
        assert run.code == 0, run.err
        return run.out

    def spans(self, path: Path, *options: str) -> list[tuple[str, str, float]]:
        """Return the spans of a file as `shown_spans` does."""
        text = self.text(path, "--format", "csv", "--rows", "spans", *options)
        rows = csv.DictReader(io.StringIO(text))
        return [
            (f"{_time(row['start'])} to {_time(row['end'])}", row["scene_label"], float(row["score"])) for row in rows
        ]


def _time(seconds: str) -> str:
    return f"{int(float(seconds)) // 60}:{int(float(seconds)) % 60:02}"
