"""Test that no command writes over one of its inputs, and that an output that cannot be written is a clear error."""

import inspect
import os
import shlex
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from typer.main import get_command

from avscene.cli.main import app
from tests.support.command_line import run
from tests.support.small_disk import fill, small_disk
from tests.support.system_tables import write_system_tables

if TYPE_CHECKING:
    from avscene.training.train import Trained

__all__ = ["small_disk"]  # a fixture

SPELLINGS = ("plain", "./", "symbolic link", "hard link", "link as input")


@dataclass(frozen=True)
class Case:
    """A command line, without the output under test, that reads all of `inputs`."""

    line: str
    inputs: tuple[str, ...]
    others: str = ""  # outputs that are given unless they are under test, for example "--output new.tsv"

    def arguments(self, option: str, output: object) -> list[str]:
        others = [] if option in self.others.split() else self.others.split()
        return [*shlex.split(self.line), *others, option, str(output)]


CLASSIFY = Case(
    "classify a.mp4 data list.txt --system system --format jsonl",
    ("a.mp4", "data/park/a.wav", "list.txt", "listed.mp4", "system/members/model.safetensors"),
)
CLASSIFY_JOURNAL = Case(CLASSIFY.line, CLASSIFY.inputs, "--output new.jsonl")
PREDICT = Case(
    "predict --system system --data table/meta.csv --by-model",
    ("table/meta.csv", "table/a.wav", "system/config.json", "system/members/model.safetensors"),
)
PREDICT_CLASSES = Case("predict --system system --data data", ("data/park/a.wav",))
PREDICT_TAU = Case(
    "predict --system system --data tau",
    (
        "tau/meta.csv",
        "tau/evaluation_setup/fold1_train.csv",
        "tau/audio/bus-lyon-7-2.wav",
        "tau/video/bus-lyon-7-2.mp4",
    ),
)
EVALUATE = Case(
    "evaluate a.tsv b.tsv --truth truth.csv --trained-on trained.csv", ("a.tsv", "b.tsv", "truth.csv", "trained.csv")
)
FUSE_FIT = Case(
    "fuse a.tsv b.tsv --fit fit-a.tsv --fit fit-b.tsv", ("a.tsv", "fit-a.tsv", "fit-b.tsv"), "--output new.tsv"
)
FUSE_WEIGHTS = Case("fuse a.tsv b.tsv --weights weights.json", ("b.tsv", "weights.json"), "--output new.tsv")
MISMATCH_FIT = Case(
    "mismatch a.tsv b.tsv --fit fit-a.tsv fit-b.tsv --pairs pairs.tsv",
    ("a.tsv", "b.tsv", "fit-a.tsv", "fit-b.tsv", "pairs.tsv"),
    "--output new.tsv",
)
MISMATCH_DETECTOR = Case(
    "mismatch a.tsv b.tsv --detector detector.json --vadd swapped.txt intact.txt",
    ("detector.json", "swapped.txt", "intact.txt"),
    "--output new.tsv",
)
MISMATCH_SYSTEM = Case(
    "mismatch a.tsv b.tsv --detector system", ("system/config.json", "system/model.safetensors"), "--output new.tsv"
)
# By command and option: which command lines write a file there.
FILES: dict[tuple[str, str], tuple[Case, ...]] = {
    ("classify", "--output"): (CLASSIFY,),
    ("classify", "--journal"): (CLASSIFY_JOURNAL,),
    ("predict", "--output"): (PREDICT, PREDICT_CLASSES, PREDICT_TAU),
    ("evaluate", "--json"): (EVALUATE,),
    ("evaluate", "--report"): (EVALUATE,),
    **{("fuse", option): (FUSE_FIT, FUSE_WEIGHTS) for option in ("--output", "--json", "--report")},
    **{("mismatch", option): (MISMATCH_FIT, MISMATCH_DETECTOR, MISMATCH_SYSTEM) for option in ("--output", "--json")},
}
# By command and parameter: a command line that writes into a directory, to which its name is appended.
DIRECTORIES: dict[tuple[str, str], str] = {
    ("submit", "--output"): "submit a.tsv --output",
    ("prepare", "--output"): "prepare data --output",
    ("reproduce", "--output"): "reproduce data --backbones small --output",
    ("train", "--output"): "train fast --data data --output",
    ("cross-validate", "--output"): "cross-validate fast --data data --folds group --output",
    ("demo", "--output"): "demo --output",
    ("data toytown", "directory"): "data toytown --locations 1 --recordings 1 --seconds 1",
    ("data download", "--output"): "data download tau-2021 --subset examples --output",
}
# Parameters with a path that is only read, or, as documented, added to.
READ = {
    *(("classify", name) for name in ("paths", "--system")),
    *(("predict", name) for name in ("--system", "--data")),
    *((name, "--data") for name in ("train", "cross-validate")),
    *(("evaluate", name) for name in ("tables", "--truth", "--trained-on")),
    *(("fuse", name) for name in ("tables", "--fit", "--weights", "--truth")),
    *(("mismatch", name) for name in ("audio", "video", "--fit", "--detector", "--pairs", "--vadd")),
    *(("submit", name) for name in ("table", "--check")),
    *(("prepare", "data"), ("reproduce", "data"), ("data verify", "directory")),
    ("embed", "store"),
    ("push", "directory"),
    *(("serve", name) for name in ("--system", "--directory", "--results")),
}
# Some of these are typed as strings.
PATH_NAMES = {
    *("paths", "tables", "audio", "video"),
    *("--data", "--detector", "--fit", "--json", "--output", "--report", "--system"),
}


def parameters() -> Iterator[tuple[str, str]]:
    """Yield command and parameter for everything in the command line that takes a path."""

    def of(command: Any, name: str) -> Iterator[tuple[str, str]]:
        for child, sub in getattr(command, "commands", {}).items():
            yield from of(sub, f"{name} {child}".strip())
        if not hasattr(command, "commands"):
            types = get_type_hints(inspect.unwrap(command.callback))
            for parameter in command.params:
                if getattr(parameter, "is_flag", False):
                    continue
                if parameter.opts[0] in PATH_NAMES or "Path" in str(types.get(parameter.name)):
                    yield name, parameter.opts[0]

    return of(get_command(app), "")


def test_every_parameter_with_a_path_is_covered() -> None:
    assert sorted(parameters()) == sorted({*FILES, *DIRECTORIES, *READ})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder with a file or folder of every name that the command lines read; the content is of no use."""
    monkeypatch.chdir(tmp_path)
    tau = "filename_audio\tfilename_video\tscene_label\naudio/bus-lyon-7-2.wav\tvideo/bus-lyon-7-2.mp4\tbus\n"
    content = {
        "list.txt": "listed.mp4\n",
        "table/meta.csv": "path,label\na.wav,park\nb.audio.wav,tram\n",
        "tau/meta.csv": tau,
        "tau/evaluation_setup/fold1_train.csv": tau,
    }
    names = {name for cases in FILES.values() for case in cases for name in case.inputs}
    for name in sorted(names | {"system/config.json", "data/tram/b.wav", "table/b.audio.wav"}):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content.get(name, f"precious content of {name}\n"))
    return tmp_path


def spelled(path: Path, spelling: str) -> Path | str:
    """Return another name of the file `path`."""
    other = Path(f"other-{path.name}")
    if spelling == "symbolic link":
        other.symlink_to(path)
    elif spelling == "hard link":
        os.link(path, other)
    elif spelling == "link as input":
        path.rename(other)
        path.symlink_to(other.absolute())
    else:
        return f"./{path}" if spelling == "./" else path
    return other


def tree() -> dict[str, bytes | None]:
    """Return the content of every file below the working directory, None for other entries."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(Path().rglob("*"))}


def refused(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Return the only message of a command that failed with exit code 2 and changed no file."""
    before = tree()
    result = run(capfd, *arguments)
    assert tree() == before
    (message,) = result.messages
    assert result.error() == message
    return message


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("case", "option", "name"),
    [(case, option, name) for (_, option), cases in FILES.items() for case in cases for name in case.inputs],
)
def test_no_file_is_written_over_an_input(
    here: Path, capfd: pytest.CaptureFixture[str], case: Case, option: str, name: str, spelling: str
) -> None:
    output = spelled(Path(name), spelling)
    assert "is one of the inputs" in refused(capfd, case.arguments(option, output))


@pytest.mark.parametrize("spelling", SPELLINGS[:-1])
def test_files_beside_an_output_are_not_written_over_an_input(
    here: Path, capfd: pytest.CaptureFixture[str], spelling: str
) -> None:
    other = Path("new.recordings.tsv")
    Path("a.tsv").replace("precious.tsv")
    if spelling in SPELLINGS[:2]:
        Path("precious.tsv").replace(other)
        line = f"mismatch ./{other} b.tsv --detector detector.json --output new.tsv"
    else:
        (other.symlink_to if spelling == "symbolic link" else other.hardlink_to)(Path("precious.tsv"))
        line = "mismatch precious.tsv b.tsv --detector detector.json --output new.tsv"
    assert refused(capfd, line.split()).startswith(f"{other}: is one of the inputs")


@pytest.mark.parametrize("line", ["predict --system system --data table --by-model --output table/b.wav"])
def test_tables_of_models_are_not_written_over_recordings(
    here: Path, capfd: pytest.CaptureFixture[str], line: str
) -> None:
    assert refused(capfd, line.split()).startswith("table/b.audio.wav: is one of the inputs")


@pytest.mark.parametrize(
    ("line", "suffix"),
    [
        ("classify a.mp4 listed.mp4 --system system --format jsonl --output new", "journal"),
        ("classify a.mp4 listed.mp4 --system system --format jsonl --output new", "partial"),
        ("classify a.mp4 listed.mp4 --system system --format csv --output new", "journal"),
        ("predict --system system --data table --output new", "journal"),
    ],
)
@pytest.mark.parametrize("spelling", ["symbolic link", "hard link"])
def test_files_of_an_unfinished_run_are_not_written_over_inputs(
    here: Path, capfd: pytest.CaptureFixture[str], line: str, suffix: str, spelling: str
) -> None:
    link = Path(f"new.{suffix}")
    recording = here / ("a.mp4" if line.startswith("classify") else "table/a.wav")
    (link.symlink_to if spelling == "symbolic link" else link.hardlink_to)(recording)
    assert refused(capfd, line.split()).startswith(f"{link}: is one of the inputs")


@pytest.mark.parametrize("spelling", ["symbolic link", "hard link"])
def test_subtitles_in_a_folder_are_not_written_over_recordings(
    here: Path, capfd: pytest.CaptureFixture[str], spelling: str
) -> None:
    Path("out").mkdir()
    link = Path("out/listed.mp4.vtt")
    (link.symlink_to if spelling == "symbolic link" else link.hardlink_to)(here / "a.mp4")
    message = refused(capfd, "classify a.mp4 listed.mp4 --system system --format vtt --output out".split())
    assert message.startswith("out/listed.mp4.vtt: is one of the inputs")


def test_a_submission_is_not_written_over_its_table(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.tsv").rename("task1b_1.output.csv")
    Path("out").mkdir()
    Path("out/task1b_1.output.csv").symlink_to("../task1b_1.output.csv")
    for output in (".", "./out"):
        message = refused(capfd, ["submit", "task1b_1.output.csv", "--output", output])
        assert "task1b_1.output.csv: is one of the inputs" in message


@pytest.mark.parametrize("line", ["evaluate a.tsv --json x.out --report ./x.out", "fuse a.tsv --output x --json x"])
def test_two_outputs_are_two_files(here: Path, capfd: pytest.CaptureFixture[str], line: str) -> None:
    assert "is given for two outputs" in refused(capfd, line.split())
    Path(line.rsplit(maxsplit=1)[-1]).touch()
    assert "is given for two outputs" in refused(capfd, line.split())


def test_standard_input_is_an_input_too(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = os.dup(0)
    try:
        with Path("a.tsv").open() as table:
            os.dup2(table.fileno(), 0)
        assert "is one of the inputs" in refused(capfd, ["evaluate", "/dev/stdin", "--json", "a.tsv"])
    finally:
        os.dup2(before, 0)
        os.close(before)


@pytest.mark.parametrize("command", ["prepare data", "reproduce data --backbones small", "train fast --data data"])
@pytest.mark.parametrize("spelling", ["plain", "link", "inside"])
def test_no_directory_is_written_into_its_data(
    here: Path, capfd: pytest.CaptureFixture[str], command: str, spelling: str
) -> None:
    Path("link").symlink_to("data")
    output = {"plain": "./data/", "link": "link", "inside": "link/new"}[spelling]
    problem = "is inside data, whose folders are scenes" if spelling == "inside" else "is one of the inputs"
    assert problem in refused(capfd, [*command.split(), "--output", output])


def test_a_store_in_the_working_directory_of_a_training_is_not_removed(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("new.work").mkdir()
    Path("data").rename("new.work/store")
    message = refused(capfd, ["train", "full", "--data", "new.work/store", "--output", "new"])
    assert message.startswith("new.work: has the input new.work/store")


PROBLEMS = {
    "folder": ("existing", "is a folder"),
    "file as a folder": ("a.tsv/new", "cannot be written (Not a directory)"),
    "long name": ("x" * 256, "cannot be written (File name too long)"),
    "long name of a folder": (f"{'x' * 256}/new", "cannot be written (File name too long)"),
    "circular link": ("circle", "cannot be written (Too many levels of symbolic links)"),
    "dangling link into a file": ("dangling", "cannot be written (Not a directory)"),
    "socket": ("socket", "is a socket"),
    "empty name": ("", "is a folder"),
    "device that cannot be made": ("/proc/new", "cannot be written"),
}


@pytest.fixture
def obstacles(here: Path) -> Iterator[None]:
    Path("existing").mkdir()
    Path("circle").symlink_to("circle")
    Path("dangling").symlink_to("a.tsv/new")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        yield


WRITING = [(cases[0], option) for (_, option), cases in FILES.items() if cases]


@pytest.mark.usefixtures("obstacles")
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("case", "option"), WRITING)
def test_a_file_that_cannot_be_written_is_reported_before_any_work(
    capfd: pytest.CaptureFixture[str], case: Case, option: str, problem: str
) -> None:
    output, expected = PROBLEMS[problem]
    assert expected in refused(capfd, case.arguments(option, output))


@pytest.mark.usefixtures("obstacles")
@pytest.mark.parametrize("problem", [name for name in PROBLEMS if name not in ("folder", "socket", "empty name")])
@pytest.mark.parametrize("line", DIRECTORIES.values())
def test_a_directory_that_cannot_be_made_is_reported_before_any_work(
    capfd: pytest.CaptureFixture[str], line: str, problem: str
) -> None:
    output, expected = PROBLEMS[problem]
    assert expected in refused(capfd, [*line.split(), output])


@pytest.mark.parametrize("line", [line for line in DIRECTORIES.values() if not line.startswith("submit")])
def test_a_file_is_not_replaced_by_a_directory(here: Path, capfd: pytest.CaptureFixture[str], line: str) -> None:
    assert "fit-a.tsv: is not a directory" in refused(capfd, [*line.split(), "fit-a.tsv"])


WRITTEN = {  # outputs of quick commands, each named new in the folder {to}
    "evaluate --json": "evaluate a.tsv --json {to}/new",
    "evaluate --report": "evaluate a.tsv --report {to}/new",
    "fuse --output": "fuse a.tsv b.tsv --rule mean --output {to}/new",
    "fuse --json": "fuse a.tsv b.tsv --rule mean --output open/here.tsv --json {to}/new",
    "fuse --report": "fuse a.tsv b.tsv --rule mean --output open/here.tsv --report {to}/new",
    "mismatch --output": "mismatch a.tsv b.tsv --fit c.tsv d.tsv --output {to}/new",
    "mismatch --json": "mismatch a.tsv b.tsv --fit c.tsv d.tsv --output open/here.tsv --json {to}/new",
    "submit --output": "submit a.tsv --output {to}/new",
    "data toytown": "data toytown {to}/new --locations 2 --recordings 1 --seconds 1",
}
SLOWLY_WRITTEN = {
    "classify --output": "classify {data}/cave/cave-0.mp4 --system {system} --format json --output {to}/new",
    "predict --output": "predict --system {system} --data {data} --output {to}/new",
    "prepare --output": "prepare {data} --output {to}/new",
    "train --output": "train fast --data {data} --holdout fold=1 --output {to}/new",
}


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("open").mkdir()
    return write_system_tables(tmp_path)


def check_full_disk(capfd: pytest.CaptureFixture[str], line: str, disk: Path, old: bytes | None) -> None:
    """Check that a command whose output is on a full disk ends with one message for it and leaves no temporary file."""
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file() and path.name != "filler"}
    result = run(capfd, *line.split())
    assert result.code in (1, 2), result.err
    assert "/new" in result.messages[-1]
    assert "No space left on device" in result.messages[-1]
    after = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file() and path.name != "filler"}
    assert {path for path in after if path.suffix == ".part"} == set()
    if old is not None:
        assert after == before


@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_disk_is_one_message_and_keeps_the_old_file(
    tables: Path, capfd: pytest.CaptureFixture[str], small_disk: Callable[[int], Path], name: str
) -> None:
    disk = small_disk(100_000)
    is_file = name not in ("submit --output", "data toytown")
    if is_file:
        (disk / "new").write_bytes(b"old")
    fill(disk)
    Path("disk").symlink_to(disk)
    overwrite = " --overwrite" if is_file else ""
    check_full_disk(capfd, WRITTEN[name].format(to="disk") + overwrite, disk, b"old" if is_file else None)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOWLY_WRITTEN)
def test_a_full_disk_is_one_message_after_long_work_too(
    tables: Path,
    capfd: pytest.CaptureFixture[str],
    small_disk: Callable[[int], Path],
    scene_data: Path,
    scene_system: "Trained",
    name: str,
) -> None:
    disk = small_disk(100_000)
    fill(disk)
    Path("disk").symlink_to(disk)
    line = SLOWLY_WRITTEN[name].format(to="disk", data=scene_data, system=scene_system.directory)
    check_full_disk(capfd, line, disk, None)


@pytest.mark.parametrize("name", [*WRITTEN, *SLOWLY_WRITTEN])
def test_a_folder_without_permission_is_reported_before_any_work(
    tables: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    tables.chmod(0o755)
    Path("closed").mkdir(mode=0o555)
    Path("open").chmod(0o777)
    for recording in ("data/cave/cave-0.mp4", "data/tram/tram-0.mp4"):
        Path(recording).parent.mkdir(parents=True)
        Path(recording).touch()
    line = (WRITTEN | SLOWLY_WRITTEN)[name].format(to="closed", data="data", system="conse")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        result = run(capfd, *line.split())
    finally:
        os.seteuid(user)
    assert result.error().startswith("closed/new")
    assert "cannot be written (Permission denied)" in result.error()
    assert list(Path("closed").iterdir()) == []


def test_a_device_is_written_to_and_not_replaced(tables: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = Path(os.devnull).stat()
    assert run(capfd, *f"fuse a.tsv b.tsv --rule mean --output {os.devnull} --json {os.devnull}".split()).code == 0
    assert Path(os.devnull).stat().st_rdev == before.st_rdev
    result = run(capfd, *"fuse a.tsv b.tsv --rule mean --output /dev/full".split())
    assert result.messages == ["/dev/full: cannot be written: No space left on device"]


def test_the_target_of_a_link_is_replaced(tables: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("link.tsv").symlink_to("deep/target.tsv")  # dangling, as for a shell's redirection
    for _ in range(2):
        assert run(capfd, *"fuse a.tsv b.tsv --rule mean --overwrite --output link.tsv".split()).code == 0
        assert Path("link.tsv").is_symlink()
        assert Path("deep/target.tsv").read_text().startswith("filename\t")
