"""Run README.md: every `sh` line and every `python` block, in order, in one empty directory."""

import os
import re
import shlex
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from avscene.cli.main import COMMANDS
from tests.support.command_line import run

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTED_EXIT = re.compile(r"#\s*exit code (\d+)\s*$")


class Step(NamedTuple):
    language: str
    text: str


def steps(markdown: str) -> list[Step]:
    """Return a step for each `python` block and each line of an `sh` block; a backslash continues a line."""
    found = []
    for language, text in BLOCK.findall(markdown):
        parts = [text] if language == "python" else text.replace("\\\n", " ").splitlines()
        found += [Step(language, part) for part in parts if part.strip() and not part.startswith("#")]
    return found


def run_in_shell(line: str) -> None:
    """Run a line with the installed `avscene`; a documented exit code is expected with one line of error message."""
    documented = DOCUMENTED_EXIT.search(line)
    expected = int(documented[1]) if documented else 0
    done = subprocess.run(line, shell=True, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == expected, f"{line}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    if expected:
        assert len(done.stderr.splitlines()) == 1, done.stderr


def run_in_process(line: str, capture: pytest.CaptureFixture[str]) -> None:
    """Run a line in this process, which has loaded torch already, with the words into which the shell splits it."""
    split = subprocess.run(f"printf '%s\\0' {line}", shell=True, check=True, capture_output=True, text=True)
    program, *arguments = split.stdout.removesuffix("\0").split("\0")
    assert program == "avscene"
    done = run(capture, *arguments)
    assert done.code == 0, f"{line}: exit code {done.code}\n{done.out}{done.err}"


@pytest.fixture
def installed_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a shell find `avscene`."""
    scripts = sysconfig.get_path("scripts")
    assert (Path(scripts) / "avscene").is_file(), "avscene is not installed beside this Python"
    monkeypatch.setenv("PATH", scripts + os.pathsep + os.environ["PATH"])


@pytest.mark.usefixtures("installed_command")
def test_every_block_runs_and_both_python_examples_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    printed = []
    for number, step in enumerate(steps(README.read_text(encoding="utf-8"))):
        if step.language == "python":
            capfd.readouterr()
            exec(compile(step.text, "README.md", "exec"), {"__name__": "__main__"})
            printed.append(capfd.readouterr().out)
        elif number == 0 or DOCUMENTED_EXIT.search(step.text):  # the installed script need not be tried with each line
            run_in_shell(step.text)
        else:
            run_in_process(step.text, capfd)
    short, long = printed
    assert short == long
    assert len(short.splitlines()) == 2
    for name in ("scenes.jsonl", "scores.tsv", "scores.audio.tsv", "figures.json", "report.html", "my-system"):
        assert (tmp_path / name).exists(), name


def test_every_command_is_shown() -> None:
    shown = {shlex.split(step.text)[1] for step in steps(README.read_text(encoding="utf-8")) if step.language == "sh"}
    offered = {command.__name__.replace("_", "-") for command in COMMANDS} | {"data"}
    # They take minutes, or run until they are stopped; tests of their own run them.
    assert shown | {"cross-validate", "demo", "reproduce", "serve"} == offered


def test_public_names_are_those_of_the_package() -> None:
    import avscene

    listed = re.search(r"The public names are (.*?), from which", README.read_text(encoding="utf-8"), re.DOTALL)
    assert listed is not None
    assert sorted(re.findall(r"`(\w+)`", listed[1])) == sorted(avscene.__all__)


def test_systems_table_is_that_of_the_registry() -> None:
    from avscene.models import registry

    text = README.read_text(encoding="utf-8")
    for name, row in registry.systems().items():
        published = f"{row.paper.log_loss:.3f} / {row.paper.accuracy:.1f} % |" if row.paper else "| |"
        assert re.search(rf"^\| `{re.escape(name)}` \| .* {re.escape(published)}$", text, re.MULTILINE), name


def test_formats_table_is_that_of_the_command_line() -> None:
    from avscene.cli.output.results import FORMATS

    table = README.read_text(encoding="utf-8").partition("| `--format` |")[2].partition("\n\n")[0]
    first_cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:])
    assert re.findall(r"`(\w+)`", first_cells) == list(FORMATS)


def test_every_dependency_has_its_reason_and_its_version() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    wanted = {re.split(r"[^\w.-]", text)[0].lower() for text in [*project["dependencies"], *extras]}
    reasons = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    vendored = {path.stem.lower() for path in (ROOT / "src/avscene/server/page/vendor").glob("*.LICENSE")}
    explained = {name.lower() for name in re.findall(r"\*\*([\w.-]+)\*\*", reasons)}
    assert explained == wanted | vendored | {"hatchling"}
    assert all(re.fullmatch(r"[\w.-]+==[\w.!]+", pin) for pin in pins)
    assert wanted <= {pin.partition("==")[0].lower().replace("_", "-") for pin in pins}
