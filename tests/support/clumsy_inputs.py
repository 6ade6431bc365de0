"""Make the files that the command lines of tests/golden/messages.txt name, and run these lines."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.media_files import write_media
from tests.support.system_tables import write_system_tables

GOLDEN = Path(__file__).parent.parent / "golden"
MESSAGES = GOLDEN / "messages.txt"


def write_inputs(directory: Path) -> None:
    """Write a recording, a data set, tables, and files and folders that are in the way."""
    for name in ("film.mp4", "data/park/a.mp4", "data/park/b.mp4", "data/tram/c.mp4", "data/tram/d.mp4"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        write_media(directory / name, 1.0, size=(64, 64))
    write_system_tables(directory)
    texts = {"text.mp4": "no recording\n", "old.json": "{}\n", "old/notes.txt": "notes\n", "runs/my-system/x": "x\n"}
    for name, text in texts.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def command_lines() -> list[str]:
    """Return the command lines of the golden file."""
    return re.findall(r"^\$ (.*)$", MESSAGES.read_text(encoding="utf-8"), re.MULTILINE)


def answers(directory: Path) -> Iterator[tuple[str, int, str]]:
    """Run each line in `directory`, in which it must change nothing, and yield it with its exit code and messages."""
    sys.path.insert(0, str(GOLDEN))
    from command_cases import call

    write_inputs(directory)
    before = Path.cwd()
    os.chdir(directory)
    try:
        for line in command_lines():
            program, *arguments = shlex.split(line)
            assert program == "avscene"
            existing = sorted(directory.rglob("*"))
            code, out, err = call(arguments)
            assert not out, f"{line}: {out}"
            assert sorted(directory.rglob("*")) == existing, line
            yield line, code, err.replace("avscene: ", "")
    finally:
        os.chdir(before)


def as_text(line: str, code: int, messages: str) -> str:
    """Return the part of the golden file for one command line."""
    return f"$ {line}\nexit code {code}\n{messages}"
