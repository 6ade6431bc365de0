"""Test that results of `avscene classify` survive the end of the process, and that the same command goes on from there.

Real files, `conse`, and processes that are really killed. That nothing is computed twice is shown by damaging the files
that are finished, without changing their size and time: read again, they would fail.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import avscene
from tests.support.command_line import Command, Run, run
from tests.support.media_files import write_media
from tests.support.processes import ROOT, wait_until
from tests.support.small_disk import fill, small_disk

__all__ = ["small_disk"]

N_FILES = 16
FORMATS = ("jsonl", "csv", "parquet", "json", "vtt")
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started the tests with it ignored
for name in sys.argv.pop(1).split():
    signal.signal(getattr(signal, name), signal.SIG_IGN)
from avscene.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of short recordings, each with content of its own, and one file that is no recording."""
    folder = tmp_path_factory.mktemp("archive") / "archive"
    folder.mkdir()
    for number in range(N_FILES - 1):
        write_media(folder / f"{number:02}.mp4", 1.0 + 0.04 * number, fps=25)
    (folder / "text.mp4").write_text("this is no recording\n" * 100)
    return folder


@pytest.fixture
def here(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with a copy of the archive."""
    shutil.copytree(archive, tmp_path / "archive")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    return partial(run, capfd)


def line(form: str, output: str, *options: str) -> list[str]:
    return ["classify", "archive", "--system", "conse", "--format", form, "--output", output, *options]


def output_of(form: str, name: str) -> str:
    """Return the name of an output in a format: a folder for subtitles, which is made."""
    if form == "vtt":
        Path(name).mkdir(exist_ok=True)
        return name
    return f"{name}.{form}"


def journal_of(output: str) -> Path:
    return Path(output, "avscene.journal") if Path(output).is_dir() else Path(f"{output}.journal")


def content(output: str) -> dict[str, bytes]:
    """Return the files of an output, except the journal."""
    path = Path(output)
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name.removeprefix(path.name): file.read_bytes() for file in files if file.suffix != ".journal"}


def records(journal: Path) -> dict[str, int]:
    """Return the ids of the records of a journal by the names of their files, also while a run writes it."""
    rows = query(journal, "SELECT source, id FROM records")
    return {Path(os.fsdecode(source)).name: number for source, number in rows}


def query(journal: Path, question: str) -> list[tuple[Any, ...]]:
    """Return the answer of a journal that another process has locked; nothing in the middle of a change."""
    undo = Path(f"{journal}-journal")  # of SQLite: zeros once a change is committed
    try:
        if undo.exists() and any(undo.read_bytes()[:8]):
            return []
        with closing(sqlite3.connect(f"file:{journal}?immutable=1", uri=True)) as connection:
            return connection.execute(question).fetchall()
    except (OSError, sqlite3.Error):
        return []


def recover(journal: Path) -> None:
    """Let SQLite undo a change that a killed process did not complete."""
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("SELECT count(*) FROM records")


@contextmanager
def running(*arguments: str, ignored: str = "") -> Iterator["subprocess.Popen[str]"]:
    """Run a command in a process, which is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, ignored, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupt(arguments: list[str], number: int, ready: Callable[[], bool]) -> tuple[int, str]:
    """Run a command, send it a signal once it is `ready`, and return its exit code and messages."""
    with running(*arguments) as process:
        wait_until(ready, process)
        process.send_signal(number)
        _, err = process.communicate()
        return process.returncode, err


def damage_finished(journal: Path) -> int:
    """Replace the content of the files that a journal knows, but not their sizes and times; return how many."""
    recover(journal)
    known = [file for file in Path("archive").iterdir() if file.name in records(journal)]
    for file in known:
        state = file.stat()
        file.write_bytes(os.urandom(state.st_size))
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    return len(known)


def link_copies(count: int, folder: str = "archive") -> None:
    """Make many more recordings than are done until a signal arrives: hard links, each a recording of its own."""
    for copy in range(count):
        os.link(f"{folder}/00.mp4", f"{folder}/zz-{copy:03}.mp4")  # after all others


def unlink_copies(folder: str = "archive") -> None:
    for file in Path(folder).glob("zz-*.mp4"):
        file.unlink()


@pytest.mark.parametrize(
    "form", [form if form in ("jsonl", "csv") else pytest.param(form, marks=pytest.mark.slow) for form in FORMATS]
)
def test_a_killed_run_continues_and_gives_the_same_bytes(here: Path, command: Command, form: str) -> None:
    undisturbed, output = output_of(form, "undisturbed"), output_of(form, "killed")
    assert command(*line(form, undisturbed)).code == 3
    link_copies(200)
    code, _ = interrupt(line(form, output), signal.SIGKILL, lambda: len(records(journal_of(output))) >= 4)
    assert code == -signal.SIGKILL
    unlink_copies()
    for file in Path(output).glob("zz-*"):
        file.unlink()
    n_known = damage_finished(journal_of(output))
    assert n_known >= 4
    found = command(*line(form, output))
    assert found.code == 3
    assert f", {n_known} known from the journal" in found.messages[-1] or n_known == N_FILES
    assert content(output) == content(undisturbed)
    left = {"archive", undisturbed, output, *(str(journal_of(name)) for name in (undisturbed, output))}
    assert {path.name for path in here.iterdir()} == {name for name in left if "/" not in name}


def test_the_lines_of_a_run_are_those_of_python(here: Path, command: Command) -> None:
    assert command(*line("jsonl", "out.jsonl")).code == 3
    system = avscene.load("conse")
    for text in Path("out.jsonl").read_text().splitlines():
        found = json.loads(text)
        if "error" in found:
            with pytest.raises(avscene.AvsceneError) as error_info:
                system.classify(found["source"])
            assert found["error"] == {"type": error_info.value.kind, "message": str(error_info.value)}
        else:
            assert found == system.classify(found["source"]).to_dict()


def test_parquet_has_the_values_of_csv(here: Path, command: Command) -> None:
    for form in ("csv", "parquet"):
        assert command(*line(form, f"out.{form}")).code == 3
    with Path("out.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    table = pyarrow.parquet.read_table("out.parquet")
    assert table.column_names == list(rows[0])
    assert table.num_rows == len(rows) > N_FILES
    for row, values in zip(rows, table.to_pylist(), strict=True):
        for name, value in values.items():
            if isinstance(value, float):
                assert float(row[name]) == pytest.approx(value, rel=1e-8)
            else:
                assert row[name] == ("" if value is None else str(value).lower() if value in (True, False) else value)
    compression = pyarrow.parquet.ParquetFile("out.parquet").metadata.row_group(0).column(0).compression
    assert compression == "ZSTD"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", pytest.param("SIGHUP", marks=pytest.mark.slow)])
def test_a_signal_ends_a_run_and_keeps_what_is_finished(here: Path, command: Command, name: str) -> None:
    assert command(*line("jsonl", "undisturbed.jsonl")).code == 3
    output = Path("out.jsonl")
    link_copies(400)
    n_inputs = N_FILES + 400
    code, err = interrupt(
        line("jsonl", str(output)),
        getattr(signal, name),
        lambda: output.exists() and output.read_bytes().count(b"\n") >= 3,
    )
    assert code == 130
    lines = output.read_text().splitlines()
    assert 3 <= len(lines) < n_inputs
    assert all(json.loads(text)["schema"] == "avscene/1" for text in lines)
    assert "recordings in progress have 5 s to finish" in err
    *_, summary, last = err.splitlines()
    assert f" of {n_inputs} recordings done, " in summary
    assert last == (
        f"avscene: interrupted: {len(lines)} of {n_inputs} results are in out.jsonl; "
        "run the same command again to continue"
    )
    assert len(records(journal_of("out.jsonl"))) >= len(lines)
    unlink_copies()
    assert command(*line("jsonl", str(output))).code == 3
    assert content("out.jsonl") == content("undisturbed.jsonl")


def test_a_hangup_that_is_ignored_stays_ignored(here: Path) -> None:
    """As under `nohup`."""
    output = Path("out.jsonl")
    with running(*line("jsonl", "out.jsonl"), ignored="SIGHUP") as process:
        wait_until(output.exists, process)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate()
    assert process.returncode == 3
    assert "stopping" not in err
    assert output.read_bytes().count(b"\n") == N_FILES


@pytest.mark.parametrize("form", ["jsonl", pytest.param("csv", marks=pytest.mark.slow)])
def test_an_interrupted_rerun_keeps_the_complete_output(here: Path, command: Command, form: str) -> None:
    output = f"out.{form}"
    assert command(*line(form, output)).code == 3
    before = content(output)
    link_copies(400)
    n_inputs = N_FILES + 400
    other = line(form, output, "--labels", "kitchen,street,forest", "--overwrite")
    code, err = interrupt(other, signal.SIGINT, lambda: n_systems(output) == 2)
    assert code == 130
    assert content(output) == before
    assert f" of {n_inputs} results are kept in {output}.journal; run the same command again to continue" in err
    unlink_copies()
    assert command(*other).code == 3
    assert content(output) != before
    assert "already exists; try: --overwrite" in command(*line(form, output)).error()
    assert command(*line(form, output, "--overwrite")).code == 3  # the first system again, all from the journal
    assert content(output) == before
    assert not Path(f"{output}.partial").exists()


def n_systems(output: str) -> int:
    """Return the number of systems that a journal has records of, also while a run writes it."""
    return len(query(journal_of(output), "SELECT DISTINCT system FROM records"))


def test_content_decides_what_is_done_again(here: Path, command: Command) -> None:
    journal = journal_of("out.jsonl")
    assert command(*line("jsonl", "out.jsonl")).code == 3
    before = records(journal)
    Path("archive/00.mp4").rename("archive/renamed.mp4")
    Path("archive/01.mp4").rename("archive/exchanged.mp4")  # 01 and 02 exchange their names
    Path("archive/02.mp4").rename("archive/01.mp4")
    Path("archive/exchanged.mp4").rename("archive/02.mp4")
    os.utime("archive/03.mp4")
    write_media(Path("archive/04.mp4"), 3.0)
    Path("text.mp4").write_bytes(Path("archive/text.mp4").read_bytes())
    found = command(*line("jsonl", "out.jsonl"))
    assert f", {N_FILES - 1} known from the journal" in found.messages[-1]
    after = records(journal)
    moved = {"renamed.mp4": "00.mp4", "01.mp4": "02.mp4", "02.mp4": "01.mp4"}
    assert {name for name in after if after[name] != before.get(moved.get(name, name))} == {"04.mp4"}
    assert command(*line("jsonl", "again.jsonl")).code == 3
    assert content("out.jsonl") == content("again.jsonl")
    other = command(*line("jsonl", "out.jsonl", "--labels", "kitchen,street"))
    assert "known from the journal" not in other.messages[-1]
    other = command(*line("jsonl", "out.jsonl", "--hop", "0.5"))
    assert "known from the journal" not in other.messages[-1]


def test_failures_are_tried_again_only_if_asked(here: Path, command: Command) -> None:
    bad, good = Path("archive/text.mp4"), Path("archive/00.mp4").read_bytes()
    bad.write_bytes(bytes(len(good)))
    first = command(*line("jsonl", "out.jsonl"))
    state = bad.stat()
    bad.write_bytes(good)
    os.utime(bad, ns=(state.st_atime_ns, state.st_mtime_ns))  # as if a fault of the machine had been removed
    second = command(*line("jsonl", "out.jsonl"))
    assert (first.code, second.code) == (3, 3)
    assert second.messages[:-1] == first.messages[:-1] != []
    assert second.messages[-1].split("; ")[0] == (
        f"{N_FILES - 1} of {N_FILES} recordings done, 1 failed (1 media), {N_FILES} known from the journal"
    )
    wider = command(*line("jsonl", "out.jsonl", "--limit", "hours=48"))  # a failure under other limits may be none
    assert (wider.code, wider.messages[-1].split("; ")[0]) == (
        0,
        f"{N_FILES} of {N_FILES} recordings done, 0 failed, {N_FILES - 1} known from the journal",
    )
    bad.write_bytes(bytes(len(good)))
    assert command(*line("jsonl", "out.jsonl")).code == 3
    state = bad.stat()
    bad.write_bytes(good)
    os.utime(bad, ns=(state.st_atime_ns, state.st_mtime_ns))
    third = command(*line("jsonl", "out.jsonl", "--retry-failed"))
    assert third.code == 0
    assert f"0 failed, {N_FILES - 1} known from the journal" in third.messages[-1]


def test_two_runs_with_one_output_exclude_each_other(here: Path, command: Command) -> None:
    link_copies(60)
    with running(*line("csv", "out.csv")) as process:
        wait_until(lambda: bool(records(journal_of("out.csv"))), process)
        process.send_signal(signal.SIGSTOP)
        found = command(*line("csv", "out.csv"))
        process.send_signal(signal.SIGCONT)
        process.communicate()
    assert found.error() == "out.csv.journal: another run with the same --output is using it; wait until it ends"
    assert process.returncode == 3
    assert Path("out.csv").exists()


def overwrite_middle(journal: Path) -> None:
    size = journal.stat().st_size
    with journal.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def set_version(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA user_version = 99")


def other_database(journal: Path) -> None:
    journal.unlink()
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("CREATE TABLE mine (a)")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (overwrite_middle, "the journal is damaged ("),
        (set_version, "is a journal of version 99, not 1"),
        (other_database, "is not a journal of avscene but another database"),
        (lambda journal: journal.write_text("my diary"), "is not a journal of avscene, or damaged"),
    ],
)
def test_a_journal_that_cannot_be_used_is_an_error_that_names_it(
    here: Path, command: Command, change: Callable[[Path], None], problem: str
) -> None:
    journal = journal_of("out.jsonl")
    assert command(*line("jsonl", "out.jsonl")).code == 3
    before = content("out.jsonl")
    change(journal)
    changed = journal.read_bytes()
    message = command(*line("jsonl", "out.jsonl")).error()
    assert message.startswith(f"out.jsonl.journal: {problem}")
    assert "; fix: " in message
    assert (content("out.jsonl"), journal.read_bytes()) == (before, changed)
    journal.unlink()
    assert command(*line("jsonl", "out.jsonl", "--overwrite")).code == 3
    assert content("out.jsonl") == before


def test_lines_of_another_file_are_not_touched_before_the_end(here: Path, command: Command) -> None:
    Path("out.jsonl").write_text("mine\n")
    link_copies(200)
    assert "already exists; try: --overwrite" in command(*line("jsonl", "out.jsonl")).error()
    replacing = line("jsonl", "out.jsonl", "--overwrite")
    code, _ = interrupt(replacing, signal.SIGKILL, lambda: len(records(journal_of("out.jsonl"))) >= 2)
    assert code == -signal.SIGKILL
    unlink_copies()
    assert Path("out.jsonl").read_text() == "mine\n"
    assert command(*replacing).code == 3
    assert Path("out.jsonl").read_text().count("\n") == N_FILES
    assert not Path("out.jsonl.partial").exists()


def test_a_torn_or_different_rest_of_the_lines_is_replaced(here: Path, command: Command) -> None:
    output = Path("out.jsonl")
    assert command(*line("jsonl", "whole.jsonl")).code == 3
    for rest in (b'{"schema": "avsc', b'{"schema": "of another run"}\n' * 3):
        journal_of("out.jsonl").unlink(missing_ok=True)
        output.unlink(missing_ok=True)
        interrupt(line("jsonl", "out.jsonl"), signal.SIGKILL, lambda: output.exists() and output.stat().st_size > 0)
        with output.open("ab") as file:
            file.write(rest)
        assert command(*line("jsonl", "out.jsonl")).code == 3
        assert content("out.jsonl") == content("whole.jsonl")


def test_a_single_file_and_standard_output_need_no_journal(here: Path, command: Command) -> None:
    assert command("classify", "archive/00.mp4", "--system", "conse", "--output", "one.txt").code == 0
    assert command("classify", "archive/00.mp4", "--system", "conse", "--format", "parquet", "--output", "p").code == 0
    assert command("classify", "archive", "--system", "conse").code == 3
    assert command(*line("jsonl", os.devnull)).code == 3
    assert {path.name for path in here.iterdir()} == {"archive", "one.txt", "p"}
    assert pyarrow.parquet.read_table("p").num_rows == 1
    message = command("classify", "archive/00.mp4", "--system", "conse", "--format", "parquet").error()
    assert message == "--format parquet needs --output FILE; try: avscene classify --help"


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_full_disk_ends_the_run_and_room_lets_it_continue(
    here: Path, command: Command, small_disk: Callable[[int], Path], form: str
) -> None:
    assert command(*line(form, f"whole.{form}")).code == 3
    disk = small_disk(2**20)
    output = disk / f"out.{form}"
    filler = fill(disk, leave=36 * 2**10)
    found = command(*line(form, str(output)))
    assert found.code == 2
    assert "(No space left on device)" in found.messages[-1]
    filler.unlink()
    assert command(*line(form, str(output))).code == 3
    assert output.read_bytes() == Path(f"whole.{form}").read_bytes()
    assert {path.name for path in disk.iterdir()} == {output.name, f"{output.name}.journal"}


@pytest.mark.parametrize("form", ["jsonl", pytest.param("csv", marks=pytest.mark.slow)])
def test_a_folder_that_vanishes_is_one_clear_error(here: Path, form: str) -> None:
    link_copies(400)
    Path("out").mkdir()
    with running(*line(form, f"out/out.{form}")) as process:
        wait_until(lambda: len(records(Path(f"out/out.{form}.journal"))) >= 2, process)
        Path("out").rename("elsewhere")
        _, err = process.communicate()
    assert process.returncode == 2
    *_, message = err.splitlines()
    assert message.startswith(f"avscene: out/out.{form}")
    assert "internal error" not in err
    assert len(records(Path(f"elsewhere/out.{form}.journal"))) >= 2


HANGING = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from avscene.media.workers import process
from tests.support import faulty_worker
process.COMMAND = (sys.executable, "-P", faulty_worker.__file__)
from avscene.cli.main import main
main()
"""


@pytest.mark.parametrize("n_signals", [1, 2])
def test_a_decoder_that_hangs_does_not_hold_up_the_end(here: Path, n_signals: int) -> None:
    """The limit after one signal is 5 s, that of a decoder without progress 60 s."""
    Path("archive/00.mp4").rename("archive/hang-00.mp4")
    Path("archive/text.mp4").rename("archive/000.mp4")
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, *line("jsonl", "out.jsonl", "--workers", "1")],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    try:
        wait_until(lambda: len(records(journal_of("out.jsonl"))) == N_FILES - 1, process)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while "stopping" not in (text := process.stderr.readline()):
            assert text
        for _ in range(n_signals - 1):
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 130
    assert "made no progress" not in err
    assert f"of {N_FILES} results are in out.jsonl; run the same command again to continue" in err


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_other_commands_end_by_any_signal_as_by_ctrl_c(tmp_path: Path, name: str) -> None:
    town = tmp_path / "town"
    with running("data", "toytown", str(town)) as process:
        wait_until(lambda: any(town.rglob("*.wav")), process)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate()
    assert process.returncode == 130
    interrupted = err.splitlines()[-1]
    assert interrupted.startswith("avscene: interrupted: the recordings so far are in ")
    assert interrupted.endswith("; run the same command again to continue")


# --- progress ---


def test_without_a_terminal_progress_is_a_line_now_and_then(
    here: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines(output: str) -> list[str]:
        return [text for text in command(*line("jsonl", output)).messages if text.startswith("classifying: ")]

    assert not lines("quiet.jsonl")  # it takes less than half a minute
    for limit in ("LINE_SECONDS", "MAX_LINE_SECONDS"):
        monkeypatch.setattr(f"avscene.progress.displays.{limit}", 0.0)
    *running, last = lines("out.jsonl")
    assert len(running) >= N_FILES - 1
    rates = r", [\d.]+ files/s, [\d.]+ hours of media per hour, \d+:\d\d left"
    assert all(re.fullmatch(rf"classifying: \d+ of {N_FILES}({rates})?", text) for text in running)
    assert re.fullmatch(rf"classifying: {N_FILES} of {N_FILES}, done in \d:\d\d", last)


def test_on_a_terminal_progress_is_a_bar(here: Path) -> None:
    terminal, screen = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "", *line("jsonl", "out.jsonl")],
        stderr=screen,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "150"},
    ):
        os.close(screen)
        shown = b""
        with contextlib.suppress(OSError):  # at its end
            while part := os.read(terminal, 65536):
                shown += part
    os.close(terminal)
    assert f"{N_FILES}/{N_FILES}" in shown.decode()
    assert re.search(r"[\d.]+ files/s, [\d.]+ hours of media per hour, \d+:\d\d left", shown.decode())
    assert re.search(rf"{N_FILES - 1} of {N_FILES} recordings done, 1 failed \(1 media\); ", shown.decode())


# --- predict ---


def test_a_killed_predict_continues_and_gives_the_same_table(here: Path, command: Command) -> None:
    for number, file in enumerate(sorted(Path("archive").glob("*.mp4"))):
        target = Path("data", ("park", "tram")[number % 2], file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)

    def predict(output: str, *options: str) -> list[str]:
        return ["predict", "--system", "conse", "--data", "data", "--output", output, "--by-model", *options]

    assert command(*predict("whole.tsv")).code == 3
    link_copies(200, "data/park")
    journal = journal_of("killed.tsv")
    code, _ = interrupt(predict("killed.tsv"), signal.SIGKILL, lambda: len(records(journal)) >= 4)
    assert code == -signal.SIGKILL
    assert not Path("killed.tsv").exists()
    recover(journal)
    known = records(journal)
    unlink_copies("data/park")
    for file in [file for file in Path("data").rglob("*.mp4") if file.name in known]:
        state = file.stat()
        file.write_bytes(os.urandom(state.st_size))
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    found: Run = command(*predict("killed.tsv"))
    assert found.code == 3
    for name in ("{}.tsv", "{}.conse.tsv"):
        assert Path(name.format("killed")).read_bytes() == Path(name.format("whole")).read_bytes()
    journal.unlink()
    link_copies(200, "data/park")
    code, err = interrupt(predict("killed.tsv", "--overwrite"), signal.SIGTERM, lambda: len(records(journal)) >= 2)
    if code == 130:
        assert (
            f" of {N_FILES + 200} results are kept in killed.tsv.journal; run the same command again to continue" in err
        )
