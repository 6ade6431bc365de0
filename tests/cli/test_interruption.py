"""Test that Ctrl-C is answered within a second at every stage: what is where, and how to continue."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.media_files import write_media
from tests.support.processes import wait_until

PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
from avscene.cli.main import main
main()
"""
SECONDS = 1.0 * float(os.environ.get("AVSCENE_PATIENCE", "1"))  # on an idle machine


def interrupt(arguments: list[str], ready: Callable[[], bool]) -> tuple[int, float, float, list[str]]:
    """Run a command and interrupt it once it is `ready`.

    Returns:
        The exit code, the seconds until the first message and until the end, and the messages.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        wait_until(ready, process)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        assert process.stderr is not None
        lines = []
        answered = None
        for line in process.stderr:
            if "interrupted" in line or "stopping" in line:
                answered = answered or time.monotonic() - begin
            lines.append(line.rstrip().removeprefix("avscene: "))
        process.wait()
        return process.returncode, answered or float("inf"), time.monotonic() - begin, lines
    finally:
        process.kill()
        process.communicate()


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_while_loading(here: Path) -> None:
    write_media(here / "film.mp4", 1.0, size=(64, 64))
    code, answered, _, lines = interrupt(["classify", "film.mp4", "--system", "conse"], after(0.6))
    assert code == 130
    assert lines[-1] == "interrupted: what was not finished is not kept; run the same command again"
    assert answered < SECONDS


def test_while_decoding(here: Path) -> None:
    Path("films").mkdir()
    write_media(here / "films/00.mp4", 2.0, size=(64, 64))
    for number in range(1, 2000):
        os.link("films/00.mp4", f"films/{number:04}.mp4")
    output = Path("scenes.jsonl")
    line = ["classify", "films", "--system", "conse", "--format", "jsonl", "--output", str(output)]
    code, answered, _, lines = interrupt(line, lambda: output.exists() and output.read_bytes().count(b"\n") > 2)
    assert code == 130
    n_lines = output.read_bytes().count(b"\n")
    assert lines[-1] == (
        f"interrupted: {n_lines} of 2000 results are in scenes.jsonl; run the same command again to continue"
    )
    assert answered < SECONDS


def test_while_writing_a_data_set(here: Path) -> None:
    line = ["data", "toytown", "town", "--seconds", "20"]
    code, answered, _, lines = interrupt(line, lambda: any(Path("town").rglob("*.mp4")))
    assert code == 130
    assert lines[-1] == "interrupted: the recordings so far are in town; run the same command again to continue"
    assert answered < SECONDS


@pytest.mark.parametrize("name", ["fast", "full-audio"])
def test_while_training(here: Path, scene_data: Path, name: str) -> None:
    line = ["train", name, "--data", str(scene_data), "--output", "system", "--device", "cpu"]
    work = Path("system.work")
    is_training = (
        (lambda: any(work.rglob("*.safetensors")) or any(work.rglob("*state*"))) if name != "fast" else after(4)
    )
    code, answered, _, lines = interrupt(line, is_training)
    assert code == 130
    expected = (
        "the training so far is in system.work; run the same command again to continue"
        if work.exists()
        else "nothing was written; run the same command again"
    )
    assert lines[-1] == f"interrupted: {expected}"
    assert answered < SECONDS
