"""Test the progress reporter: lines, bars of a terminal, bars of a notebook, silence, and what a function gets."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from avscene.models.weights import hub
from avscene.progress import Reporter, displays, reporter, reporting
from tests.support.hub_server import HubServer

HOUR = 3600

PROGRAM = """
from avscene.progress import reporting

with reporting({wanted}) as stages:
    done = stages("training <b>")
    for step in range(40):
        done(step + 1, 40)
    print("result")
"""


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        for module in (displays, reporter):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


# --- lines ---


def lines_of(clock: Clock, n_steps: int, seconds: float) -> list[tuple[float, str]]:
    """The lines of a stage of `n_steps` steps of `seconds` each, and when they were written."""
    written: list[tuple[float, str]] = []
    started = clock.now
    with Reporter(lambda line: written.append((clock.now - started, line))) as stages:
        progress = stages("training")
        for step in range(n_steps):
            clock.now += seconds
            progress(step + 1, n_steps)
    return written


def test_a_short_run_writes_no_line(clock: Clock) -> None:
    assert lines_of(clock, 29, 1) == []


def test_a_line_every_half_a_minute_and_one_at_the_end(clock: Clock) -> None:
    assert lines_of(clock, 100, 1) == [
        (30, "training: 30 of 100, 1:10 left"),
        (60, "training: 60 of 100, 0:40 left"),
        (90, "training: 90 of 100, 0:10 left"),
        (100, "training: 100 of 100, done in 1:39"),  # since the first step, whose beginning is not known
    ]


def test_a_long_run_writes_fewer_lines_and_never_none_for_long(clock: Clock) -> None:
    times = [time for time, _ in lines_of(clock, 24 * HOUR, 1)]
    assert len(times) < 24 * 6 + 60
    assert all(30 <= later - earlier <= 600 for earlier, later in pairwise(times[:-1]))


def test_work_that_was_done_before_does_not_count_for_the_time_left(clock: Clock) -> None:
    written: list[str] = []
    with Reporter(written.append) as stages:
        progress = stages("preparing")
        progress(900, 1000)
        clock.now += 40
        progress(920, 1000)  # 20 in 40 s
    assert written == ["preparing: 920 of 1000, 2:40 left"]


def test_bytes_are_counted_in_a_unit_of_their_size(clock: Clock) -> None:
    written: list[str] = []
    with Reporter(written.append, unit="bytes") as stages:
        for stage, total in (("video.1.zip", 4_500_000_000), ("meta.zip", 2_500_000)):
            progress = stages(stage)
            progress(0, total)
            clock.now += 60
            progress(total // 5, total)
    assert written == ["video.1.zip: 0.9 of 4.5 GB, 4:00 left", "meta.zip: 0.5 of 2.5 MB, 4:00 left"]


def test_a_quiet_reporter_writes_nothing(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    written: list[str] = []
    with Reporter(written.append, quiet=True) as stages:
        clock.now += HOUR
        stages("training")(1, 2)
    assert (written, *capfd.readouterr()) == ([], "", "")


# --- what Python asks for ---


def test_false_is_silent_and_a_function_is_called(capfd: pytest.CaptureFixture[str]) -> None:
    calls: list[tuple[Any, ...]] = []

    def progress(stage: str) -> Any:
        return lambda done, total: calls.append((stage, done, total))

    for wanted in (False, progress):
        with reporting(wanted) as stages:
            stages("training")(1, 2)
    assert calls == [("training", 1, 2)]
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize("wrong", [None, 1, "bar"])
def test_anything_else_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="progress is True, False or a function"), reporting(wrong):
        pass


# --- a terminal ---


def test_in_a_terminal_there_are_bars_on_standard_error_only() -> None:
    terminal, screen = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(wanted=True)],
        stdout=subprocess.PIPE,
        stderr=screen,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        text=True,
    ) as process:
        os.close(screen)
        shown = b""
        try:
            while part := os.read(terminal, 65536):
                shown += part
        except OSError:  # its end
            pass
        out, _ = process.communicate()
    os.close(terminal)
    assert out == "result\n"
    assert "40/40 training <b>" in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown.decode())


@pytest.mark.parametrize("wanted", [True, False])
def test_without_a_terminal_short_work_writes_nothing(*, wanted: bool) -> None:
    program = PROGRAM.format(wanted=wanted)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "result\n", "")


# --- a notebook ---


class Notebook:
    """A stand-in for the module IPython in the kernel of a notebook: what its cell shows, and how often it changed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[dict[str, str]] = []
        self.n_changes = 0
        self.kernel = object()
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: self))  # type: ignore[arg-type]
        monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=self.display))  # type: ignore[arg-type]

    def display(self, content: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        place = len(self.shown)
        self.shown.append(content)

        def update(new: dict[str, str], *, raw: bool) -> None:
            assert raw
            self.shown[place] = new
            self.n_changes += 1

        return SimpleNamespace(update=update)


class Elements(HTMLParser):
    """The attributes of each `progress` element, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.bars: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("div", "progress")
        if tag == "progress":
            self.bars.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_in_a_notebook_there_is_a_bar_for_each_stage_in_one_place(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    notebook = Notebook(monkeypatch)
    with reporting(True) as stages:
        for stage in ("embedding <i>", "training"):
            progress = stages(stage)
            for step in range(1000):
                progress(step, 1000)
                clock.now += 0.01
    (shown,) = notebook.shown
    found = Elements(shown["text/html"])
    assert [(bar["value"], bar["max"]) for bar in found.bars] == [("999", "1000"), ("999", "1000")]
    assert "embedding <i>: 999 of 1000, 0:00 left" in found.text
    assert shown["text/plain"].splitlines()[1] == "training: 999 of 1000, 0:00 left"
    assert notebook.n_changes < 2 * 10 / 0.2 + 10  # of 2000 steps in 20 s
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_stage_of_unknown_length_moves(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch)
    with reporting(True) as stages:
        stages("training")
        (bar,) = Elements(notebook.shown[0]["text/html"]).bars
    assert "value" not in bar


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(monkeypatch)
    assert displays.in_notebook()
    del notebook.kernel
    assert not displays.in_notebook()


# --- downloads ---


def test_downloads_of_weights_are_counted_in_megabytes_and_print_nothing(
    hub_server: HubServer, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    hub_server.repos["owner/weights"] = {"model.safetensors": bytes(12_000_000), "config.json": b"{}"}
    calls: list[tuple[Any, ...]] = []

    def progress(stage: str) -> Any:
        return lambda done, total: calls.append((stage, done, total))

    hub_server.fault = "cut-once"  # huggingface_hub would print that it tries again
    hub.fetch("owner/weights", ["model.safetensors", "config.json"], offline=False, progress=progress)
    weights = [(done, total) for stage, done, total in calls if "model.safetensors (MB)" in stage]
    assert weights[-1] == (12, 12)
    assert weights == sorted(weights)
    assert not [record for record in caplog.records if record.name.startswith("huggingface_hub")]
    assert tuple(capfd.readouterr()) == ("", "")
