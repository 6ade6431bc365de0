"""Test that outputs are replaced only with `--overwrite` or by the same command, and never by unfinished ones."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command_line import Command, run
from tests.support.media_files import write_media
from tests.support.system_tables import write_system_tables

if TYPE_CHECKING:
    from avscene.training.train import Trained

# Quick commands, and the files that each writes.
QUICK = {
    "evaluate a.tsv --json new.json": "new.json",
    "evaluate a.tsv --report new.html": "new.html",
    "fuse a.tsv b.tsv --rule mean --output new.tsv": "new.tsv",
    "fuse a.tsv b.tsv --rule mean --output other.tsv --json new.json": "new.json",
    "mismatch a.tsv b.tsv --fit c.tsv d.tsv --output other.tsv --json new.json": "new.json",
    "mismatch a.tsv b.tsv --fit c.tsv d.tsv --output new.tsv": "new.recordings.tsv",
    "classify film.mp4 --system conse --format json --output new.json": "new.json",
}
MANY = "classify films --system conse --labels park,tram"


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    return partial(run, capfd)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("outputs") / "made"
    (root / "films").mkdir(parents=True)
    for name in ("film.mp4", "films/a.mp4", "films/b.mp4"):
        write_media(root / name, 1.0, size=(64, 64))
    return write_system_tables(root)


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("line", QUICK)
def test_a_file_is_replaced_only_if_that_is_asked_for(here: Path, command: Command, line: str) -> None:
    output = Path(QUICK[line])
    output.write_text("precious")
    found = command(*line.split())
    assert found.error() == f"{output}: already exists; try: --overwrite, or another name"
    assert output.read_text() == "precious"
    assert command(*line.split(), "--overwrite").code == 0
    assert output.read_text() != "precious"


@pytest.mark.parametrize("line", [line for line in QUICK if line.startswith("evaluate")])
def test_an_empty_file_holds_nothing_to_keep(here: Path, command: Command, line: str) -> None:
    Path(QUICK[line]).touch()
    assert command(*line.split()).code == 0


@pytest.mark.parametrize(("form", "output"), [("csv", "new.csv"), ("jsonl", "new.jsonl"), ("vtt", "new")])
def test_the_same_command_brings_its_output_up_to_date(here: Path, command: Command, form: str, output: str) -> None:
    if form == "vtt":
        Path(output).mkdir()
    line = [*MANY.split(), "--format", form, "--output", output]

    def content() -> dict[str, bytes]:
        files = Path(output).glob("*.vtt") if form == "vtt" else [Path(output)]
        return {file.name: file.read_bytes() for file in files}

    assert command(*line).code == 0
    first = content()
    again = command(*line)
    assert again.code == 0
    assert "2 known from the journal" in again.messages[-1]
    assert content() == first
    shutil.copy("film.mp4", "films/c.mp4")
    assert command(*line).code == 0
    assert len(content()) > len(first) or len(content()[output]) > len(first[output])


@pytest.mark.parametrize(
    "change",
    [("film.mp4",), ("--labels", "cave,sea"), ("--hop", "0.5")],
    ids=["other inputs", "other labels", "other segments"],
)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_another_command_does_not_replace_it(here: Path, command: Command, form: str, change: tuple[str, ...]) -> None:
    line = [*MANY.split(), "--format", form, "--output", "new"]
    assert command(*line).code == 0
    before = Path("new").read_bytes()
    found = command(*line, *change)
    assert (found.code, found.out) == (2, "")
    assert found.messages[-1] == "new: already exists; try: --overwrite, or another name"
    assert Path("new").read_bytes() == before
    assert command(*line, *change, "--overwrite").code == 0
    assert Path("new").read_bytes() != before
    assert command(*line).code == 2


def test_an_output_that_was_edited_is_kept(here: Path, command: Command) -> None:
    line = [*MANY.split(), "--format", "csv", "--output", "new.csv"]
    assert command(*line).code == 0
    edited = Path("new.csv").read_text() + "a,remark\n"
    Path("new.csv").write_text(edited)
    assert command(*line).code == 2
    assert Path("new.csv").read_text() == edited


def test_an_output_without_its_journal_is_kept(here: Path, command: Command) -> None:
    line = [*MANY.split(), "--format", "csv", "--output", "new.csv"]
    assert command(*line).code == 0
    Path("new.csv.journal").unlink()
    assert command(*line).error() == "new.csv: already exists; try: --overwrite, or another name"


def test_tables_of_predict(here: Path, command: Command, scene_data: Path) -> None:
    line = ["predict", "--system", "conse", "--data", str(scene_data), "--output", "new.tsv", "--by-model"]
    assert command(*line, "--only", "fold=1").code == 0
    before = Path("new.tsv").read_bytes()
    assert command(*line, "--only", "fold=1").code == 0
    assert Path("new.tsv").read_bytes() == before
    assert command(*line, "--only", "fold=2").error() == "new.tsv: already exists; try: --overwrite, or another name"
    assert Path("new.tsv").read_bytes() == before
    assert command(*line, "--only", "fold=2", "--overwrite").code == 0
    assert Path("new.tsv").read_bytes() != before


def test_a_checkpoint_is_replaced_as_a_whole(
    here: Path, command: Command, scene_data: Path, scene_system: "Trained"
) -> None:
    shutil.copytree(scene_system.directory, "system")
    Path("system/own.txt").write_text("remark")
    line = ["train", "fast", "--data", str(scene_data), "--output", "system", "--holdout", "fold=1"]
    message = command(*line).error()
    assert message == "system: already exists; try: --overwrite, or another --output"
    assert command(*line, "--overwrite").code == 0
    assert not Path("system/own.txt").exists()
    assert json.loads(Path("system/config.json").read_text())["training"]["held_out"] == "fold=1"
    assert not [path for path in here.iterdir() if path.name.startswith(".")]


def test_a_folder_of_other_files_is_no_checkpoint(here: Path, command: Command) -> None:
    message = command("train", "fast", "--data", "films", "--output", "films", "--overwrite").error()
    assert "films" in message
    Path("other").mkdir()
    Path("other/notes.txt").write_text("notes")
    message = command("train", "fast", "--data", "films", "--output", "other", "--overwrite").error()
    assert message == "other: already exists, and is not a checkpoint; try: another --output"
    assert Path("other/notes.txt").read_text() == "notes"
