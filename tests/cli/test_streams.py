"""Test that closed, full and broken standard streams end every command with one message and an exit code."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from avscene.cli.main import app
from tests.support.system_tables import write_system_tables

if TYPE_CHECKING:
    from avscene.training.train import Trained

REDIRECTIONS = {
    ">&-": "avscene: standard output: is closed\n",
    ">/dev/full": "avscene: standard output: cannot be written (No space left on device)\n",
}
# By command: a command line that succeeds and prints; {data} and {system} are those of the fixtures.
QUICK = {
    "systems": "systems",
    "data toytown": "data toytown town --locations 2 --recordings 1 --seconds 1",
    # The plan is printed before anything is downloaded; nothing listens on the discard port.
    "data download": "data download tau-2021 --subset examples --output tau --source https://127.0.0.1:9",
    "data verify": "data verify {data}",
    "evaluate": "evaluate a.tsv --json new.json",
    "fuse": "fuse a.tsv b.tsv --rule mean --output new.tsv",
    "submit": "submit a.tsv --output submission",
}
# The same for commands that take longer, with a file or folder that they make.
SLOW = {
    "doctor": ("doctor --offline", "."),
    "push": ("push {system} user/name --dry-run", "."),
    "mismatch": ("mismatch a.tsv b.tsv --fit c.tsv d.tsv --output new.tsv", "new.recordings.tsv"),
    "classify": ("classify {data}/cave/cave-0.mp4 --system {system}", "."),
    "prepare": ("prepare {data} --output store", "store"),
    "embed": ("embed store --encoder efficientnet-lite0", "store"),
    "train": ("train fast --data {data} --holdout fold=1 --output new", "new"),
    "cross-validate": ("cross-validate fast --data {data} --folds fold --output folds", "folds/out_of_fold.tsv"),
    "predict": ("predict --system {system} --data {data} --output new.tsv", "new.tsv"),
    "reproduce": (
        "reproduce {data} --systems B03 --holdout fold=1 --backbones small --output table",
        "table/reproduction.html",
    ),
}

NOT_RUN = {"demo", "serve"}  # one takes minutes and prints as the others do; the other one prints nothing


def commands(command: Any, name: str = "") -> Iterator[str]:
    """Yield the name of every command."""
    for child, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, f"{name} {child}".strip())
    if not hasattr(command, "commands"):
        yield name


def test_every_command_is_covered() -> None:
    assert sorted(commands(get_command(app))) == sorted([*QUICK, *SLOW, *NOT_RUN])


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables of two systems, a and b, and of the same systems on other groups, c and d."""
    return write_system_tables(tmp_path_factory.mktemp("tables"))


@pytest.fixture
def here(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for table in tables.iterdir():
        Path(table.name).symlink_to(table)
    return tmp_path


def shell(line: str, redirections: str) -> "subprocess.CompletedProcess[str]":
    """Run `avscene LINE` under a shell that redirects its standard streams."""
    command = f"{shlex.quote(sys.executable)} -m avscene {line} {redirections}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)


def check_output_error(line: str, redirection: str) -> None:
    """Check that a command ends with the message for a standard output that cannot be written, and with exit code 1."""
    result = shell(line, redirection)
    *before, last = result.stderr.splitlines(keepends=True)
    assert (result.returncode, last) == (1, REDIRECTIONS[redirection]), result.stderr
    assert all(text.startswith("avscene: ") and "internal error" not in text for text in before), before


@pytest.mark.parametrize("redirection", REDIRECTIONS)
@pytest.mark.parametrize("command", QUICK)
def test_a_standard_output_that_cannot_be_written_is_one_message(
    command: str, redirection: str, here: Path, scene_data: Path
) -> None:
    check_output_error(QUICK[command].format(data=scene_data), redirection)
    for made in (path for path in ("town/meta.csv", "new.json", "new.tsv", "submission") if path in QUICK[command]):
        assert Path(made).exists()  # the work is not lost


@pytest.mark.slow
@pytest.mark.parametrize("command", SLOW)
def test_long_commands_report_a_standard_output_that_cannot_be_written_too(
    command: str, here: Path, scene_data: Path, scene_system: "Trained"
) -> None:
    line, made = SLOW[command]
    if command == "embed":
        assert shell(f"prepare {scene_data} --output store", "").returncode == 0
    check_output_error(line.format(data=scene_data, system=scene_system.directory), ">/dev/full")
    assert Path(made).exists()  # the work is not lost


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "2>&- <&-"])
def test_messages_for_a_standard_error_that_cannot_be_written_are_dropped(here: Path, redirection: str) -> None:
    assert (shell("evaluate missing.tsv", redirection).returncode, shell("systems", redirection).returncode) == (2, 0)
    assert shell("evaluate missing.tsv", redirection).stdout == ""  # not there instead
    assert shell("systems", redirection).stdout == shell("systems", "").stdout


def test_nothing_is_printed_into_a_file_that_takes_the_number_of_a_closed_stream(here: Path) -> None:
    assert shell("fuse a.tsv b.tsv --rule mean --output expected.tsv", "").returncode == 0
    for redirections, code in {"<&- >&- 2>&-": 1, "<&- 2>&-": 0}.items():
        result = shell("fuse a.tsv b.tsv --rule mean --output new.tsv --overwrite", redirections)
        assert result.returncode == code
        assert Path("new.tsv").read_bytes() == Path("expected.tsv").read_bytes()


def test_a_closed_standard_input_is_a_failure(here: Path) -> None:
    result = shell("classify - --system conse --labels a,b --format jsonl", "<&-")
    message = "standard input: is closed; give the list on it, or files and folders"
    assert (result.returncode, result.stderr) == (1, f"avscene: {message}\n")
    assert message in result.stdout


def test_the_list_on_standard_input_is_not_replaced(here: Path) -> None:
    Path("list.txt").write_text("a.mp4\n")
    result = shell("classify - --system conse --labels a,b --format jsonl --output list.txt", "<list.txt")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "avscene: list.txt: is one of the inputs; give another file for the output\n"
    assert Path("list.txt").read_text() == "a.mp4\n"


@pytest.mark.parametrize("line", ["evaluate copy.tsv", "classify copy.tsv --system conse --labels a,b"])
def test_nothing_is_printed_into_an_input(here: Path, line: str) -> None:
    Path("copy.tsv").write_bytes(Path("a.tsv").read_bytes())
    result = shell(line, ">>copy.tsv")
    message = "avscene: standard output: is one of the inputs; give another file for the output\n"
    assert (result.returncode, result.stderr) == (2, message)
    assert Path("copy.tsv").read_bytes() == Path("a.tsv").read_bytes()
    assert shell(line, ">>other.tsv").returncode == (0 if line.startswith("evaluate") else 1)


def test_tables_are_read_from_pipes(here: Path) -> None:
    assert shell("evaluate <(cat a.tsv)", "").returncode == 0
    assert shell("submit a.tsv", "").returncode == 0
    assert shell("submit --check <(cat submission/task1b_1.output.csv)", "").returncode == 0


def test_the_end_of_a_reader_is_no_error_message(here: Path) -> None:
    result = shell("evaluate a.tsv b.tsv", "| true; exit ${PIPESTATUS[0]}")
    assert (result.returncode, result.stdout, result.stderr) in [(1, "", ""), (0, "", "")]


def test_help_is_printed_or_an_error(here: Path) -> None:
    for arguments in ("--help", "classify --help", "data --help"):
        result = shell(arguments, ">/dev/full")
        assert (result.returncode, result.stderr) == (1, REDIRECTIONS[">/dev/full"])
