"""Test that the library writes nothing on standard output and standard error, and that its messages can be had."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import avscene
from tests.support.scene_data import train_on, write_data, write_scene
from tests.support.small_checkpoint import save_small

SOURCE = Path(avscene.__file__).parent
MAY_WRITE = ("cli", "progress")  # what a command or `progress=True` asks for
OWN_STREAMS = ("media/workers/__main__.py",)  # the process that decodes, whose standard output is a pipe of messages

PROGRAM = """
import logging
import avscene
from avscene.inference import Source

system = avscene.load({system!r}, device="cpu")
assert system.classify({video!r}).segments
assert isinstance(next(system.classify_all([Source({broken!r})])), avscene.AvsceneError)
logging.getLogger("avscene.some.module").warning("nobody asked for")
logging.basicConfig(format="%(name)s: %(message)s")
logging.getLogger("avscene.some.module").warning("of the library")
"""


def test_only_a_program_that_configures_logging_gets_messages(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    video, system = write_scene(tmp_path / "cave.mp4", "cave", 1), save_small(tmp_path / "V1")
    program = PROGRAM.format(system=str(system), video=str(video), broken=str(broken))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "avscene.some.module: of the library\n")


def test_training_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data", scenes=("cave", "meadow"), recordings=2)
    capfd.readouterr()
    train_on(data, tmp_path / "system")
    assert tuple(capfd.readouterr()) == ("", "")


def test_only_commands_and_progress_use_the_standard_streams() -> None:
    found = []
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if name.startswith(MAY_WRITE) or name in OWN_STREAMS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
            if named in ("sys.stdout", "sys.stderr", "print", "warnings.warn"):
                found.append(f"{name}:{node.lineno} {named}")
    assert not found


def test_every_logger_is_below_the_one_of_the_library() -> None:
    """A child of `avscene`, or the logger of another library whose messages are suppressed."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger":
                name = ", ".join(map(ast.unparse, node.args))
                assert name in ("", "__name__", "'avscene'", "'ray'", "'huggingface_hub'"), f"{path}: {name}"
