"""One browser and one server for all tests of the page, both ended before other tests run their own event loops."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from avscene.training.train import Trained
from tests.support.browser import WIDE, Theme, chromium, open_page
from tests.support.page import CommandLine, classify_over_http, write_two_scenes
from tests.support.scene_data import write_scene
from tests.support.server import Serving, serve


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium of the system; skips without it."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording of each kind: two scenes, audio, no audio, a photograph, and a file that is none."""
    folder = tmp_path_factory.mktemp("recordings")
    write_two_scenes(folder / "two_scenes.mp4")
    write_scene(folder / "audio.wav", "furnace", 7, video=False, seconds=3)
    write_scene(folder / "silent.mp4", "meadow", 8, audio=False, seconds=3)
    write_scene(folder / "photograph.png", "cave", 9)
    (folder / "broken.mp4").write_bytes(b"this is no recording\n" * 100)
    return folder


@pytest.fixture(scope="package")
def server(browser: Browser, scene_system: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server whose default system knows three scenes; `conse` is there too."""
    with serve(tmp_path_factory.mktemp("server"), "--system", str(scene_system.directory)) as serving:
        yield serving
    assert serving.process.returncode == 0, serving.log.read_text("utf-8")
    assert "Traceback" not in serving.log.read_text("utf-8")


@pytest.fixture(scope="package")
def finished(server: Serving, recordings: Path) -> dict[str, str]:
    """The ids of jobs that ended, by the names of their files: one of each of `recordings`."""
    return classify_over_http(server.url, sorted(recordings.iterdir()))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page; the test fails if it logs an error that is not `allowed`, or asks another machine."""
    with ExitStack() as stack:

        def open_at(
            url: str, size: tuple[int, int] = WIDE, theme: Theme = "light", allowed: tuple[str, ...] = ()
        ) -> Page:
            page, observed = stack.enter_context(open_page(browser, size, theme))
            observed.allowed.extend(allowed)
            page.goto(url)
            return page

        yield open_at


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """`avscene classify`, to compare with."""
    return CommandLine(capsys, monkeypatch)


@pytest.fixture
def trained(scene_system: Trained) -> tuple[str, str]:
    """The options of the command line for the server's default system."""
    return ("--system", str(scene_system.directory))
