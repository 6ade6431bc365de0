"""Command lines run in this process, one after the other, and what they left behind."""

import contextlib
import io
import os
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from command_comparison import normalised
from store_summary import store_summary

COMMANDS = Path(__file__).parent / "commands"
INPUTS, EXPECTED = COMMANDS / "inputs", COMMANDS / "expected"


@dataclass(frozen=True)
class Case:
    """A command line of cases.yaml; see there for the fields."""

    id: str
    run: str
    exit: int
    compare: Sequence[str] = ()
    stdout: str | None = None
    rows: Sequence[str] = ()
    before: dict[str, Any] = field(default_factory=dict)
    slow: bool = False
    both: bool = False
    tolerance: float | None = None


@dataclass(frozen=True)
class Result:
    """The exit code of a case, its normalised files by their paths, and what it printed on standard error."""

    exit: int
    files: dict[str, str]
    stderr: str


def read_cases(*, slow: bool = False) -> list[Case]:
    """Read the cases that run in one directory: the slow ones with those that they need, or all others."""
    cases = [Case(**case) for case in yaml.safe_load((COMMANDS / "cases.yaml").read_text(encoding="utf-8"))]
    assert len({case.id for case in cases}) == len(cases)
    return [case for case in cases if case.both or case.slow == slow]


def run_cases(cases: Sequence[Case], directory: Path) -> Iterator[tuple[Case, Result]]:
    """Run cases in their order in a new directory, on one thread so that sums are in the same order everywhere."""
    import torch

    shutil.copytree(INPUTS, directory, dirs_exist_ok=True)
    threads, before = torch.get_num_threads(), Path.cwd()
    torch.set_num_threads(1)
    os.chdir(directory)
    try:
        for case in cases:
            _make_files(case.before)
            yield case, _run(case, directory)
    finally:
        os.chdir(before)
        torch.set_num_threads(threads)


def call(arguments: Sequence[str]) -> tuple[int, str, str]:
    """Run `avscene ARGUMENTS` and return exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    argv, sys.argv = sys.argv, ["avscene", *arguments]
    code: object = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            runpy.run_module("avscene", run_name="__main__")
    except SystemExit as left:
        code = left.code
    finally:
        sys.argv = argv
    assert isinstance(code, int), f"{arguments}: left with {code!r}"
    return code, out.getvalue(), err.getvalue()


def expected_files(case: Case) -> dict[str, str]:
    """Read the recorded files of a case by their paths."""
    folder = EXPECTED / case.id
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def _run(case: Case, directory: Path) -> Result:
    code, out, err = call(shlex.split(case.run))
    files = {}
    for pattern in case.compare:
        for path in sorted(directory.glob(pattern)):
            files[path.relative_to(directory).as_posix()] = path.read_text(encoding="utf-8")
    if case.stdout is not None:
        files[f"stdout.{case.stdout}"] = out
    for store in case.rows:
        files[f"{store}.rows.tsv"] = store_summary(directory / store)
    return Result(code, {name: normalised(Path(name), text) for name, text in files.items()}, err)


def _make_files(wanted: dict[str, Any]) -> None:
    for target, source in wanted.get("copy", {}).items():
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        if Path(source).is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    for target, text in wanted.get("write", {}).items():
        Path(target).write_text(text, encoding="utf-8")
    if "folder" in wanted:
        Path(wanted["folder"]).mkdir()
