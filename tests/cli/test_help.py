"""Test the help of the command line: groups, purposes and examples, all of which are run."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

import avscene
from avscene.cli.examples import EXAMPLES, GROUPS
from avscene.cli.main import app
from tests.support.command_line import Command, run
from tests.support.system_tables import write_system_tables

if TYPE_CHECKING:
    from avscene.training.train import Trained

LINES = [line for lines in EXAMPLES.values() for line in lines]
# They need a network, accounts, or the data set of the paper; `serve` runs until a signal.
NOT_RUN = ("avscene data download", "avscene push", "avscene reproduce tau", "avscene serve")
ELSEWHERE = [line for line in LINES if line.startswith(NOT_RUN)]
TRAINING = ("demo", "train", "cross-validate", "reproduce")
SLOW = [
    line for line in LINES if line not in ELSEWHERE and (re.search(r"\btown\b", line) or line.split()[1] in TRAINING)
]
QUICK = [line for line in LINES if line not in [*ELSEWHERE, *SLOW]]


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its name as it is typed."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from ((f"{name} {below}", found) for below, found in command.commands.items())
        else:
            yield name, command


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    return lambda *arguments: run(capfd, *arguments)


def test_every_command_has_two_examples_and_a_group() -> None:
    assert {name for name, _ in commands()} == set(EXAMPLES)
    assert all(
        len(lines) == 2 and all(line.startswith(f"avscene {name}") for line in lines)
        for name, lines in EXAMPLES.items()
    )
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("line", LINES)
def test_every_example_is_a_valid_command_line(line: str) -> None:
    _, *arguments = shlex.split(line)
    name = next(name for name, _ in commands() if line.startswith(f"avscene {name}"))
    found = dict(commands())[name]
    found.make_context(name, arguments[len(name.split()) :])


def test_the_overview_has_every_command_whole_with_an_example(command: Command) -> None:
    found = command()
    assert found.code == 2
    assert found.err == command("--help").out == command("-h").out
    text = " ".join(found.err.split())
    for name, one in get_command(app).commands.items():  # type: ignore[attr-defined]
        purpose = " ".join(one.help.split("\n\n")[0].split())
        assert f" {name} {purpose} $ avscene {name}" in text
    assert "..." not in found.err.replace("[ARGS]...", "")
    assert all(f"\n{heading}:\n" in found.err for heading in GROUPS)


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_help_ends_with_the_examples(command: Command, name: str) -> None:
    found = command(*name.split(), "-h")
    assert found.code == 0
    assert found.out.endswith("\nExamples:\n" + "".join(f"  {line}\n" for line in EXAMPLES[name]))


def test_the_version(command: Command) -> None:
    found = command("--version")
    assert (found.code, found.out, found.err) == (0, f"avscene {avscene.__version__}\n", "")


@pytest.fixture(scope="module")
def working_directory(scene_data: Path, scene_system: "Trained", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the quick examples use and no example makes."""
    root = tmp_path_factory.mktemp("examples")
    shutil.copytree(scene_data, root / "recordings")
    shutil.copytree(scene_system.directory, root / "my-system")
    shutil.copytree(scene_data / "cave", root / "films")
    shutil.copy(next((root / "films").glob("*.mp4")), root / "film.mp4")
    write_system_tables(root)
    (root / "a.tsv").rename(root / "urban.tsv")
    return root


@pytest.mark.parametrize("line", QUICK)
def test_the_example_runs(
    command: Command, working_directory: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """In the order of the help: an example may use what an earlier one wrote."""
    monkeypatch.chdir(working_directory)
    found = command(*shlex.split(line)[1:])
    assert found.code == 0, found.err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_slow_examples_run(
    command: Command, scene_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(scene_data, "recordings")
    before = {"avscene train full": "avscene prepare recordings --output recordings.store"}
    for line in SLOW:
        for start, needed in before.items():
            if line.startswith(start):
                assert command(*shlex.split(needed)[1:]).code == 0
        found = command(*shlex.split(line)[1:])
        assert found.code == 0, f"{line}: {found.err}"
