"""Test the expansion of command-line paths to media files."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from avscene.cli.inputs import find_inputs
from avscene.records import Failure

ODD = ["with space.mp4", "ünï-映画.mp4", "-dash.mp4", "[brackets].mp4", "new\nline.mp4", "two  blanks*?.mp4"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expand(arguments: list[str]) -> list[str | Failure]:
    return list(find_inputs(arguments))


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def failure_message(argument: str) -> str:
    (outcome,) = expand([argument])
    assert isinstance(outcome, Failure)
    assert outcome.source == argument
    return str(outcome.error)


def listed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[str | Failure]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return expand(["-"])


@pytest.mark.parametrize("name", ODD)
def test_an_existing_file_is_kept_whatever_its_name(here: Path, name: str) -> None:
    touch(name)
    assert expand([name]) == [name]


def test_order_and_repetitions_are_kept(here: Path) -> None:
    touch("b.mp4", "a.mp4")
    assert expand(["b.mp4", "a.mp4", "b.mp4"]) == ["b.mp4", "a.mp4", "b.mp4"]
    assert expand([]) == []


def test_missing_files_and_other_files_are_kept_for_the_decoder(here: Path) -> None:
    touch("notes.doc")
    assert expand(["gone.mp4", "notes.doc"]) == ["gone.mp4", "notes.doc"]


def test_a_folder_is_searched_recursively_and_sorted(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch("f/b.MP4", "f/a.wav", "f/sub/deep/c.png", "f/notes.txt", "f/README", *(f"f/z/{name}" for name in ODD))
    os.mkfifo("f/pipe.mp4")
    Path("f/folder.mp4").mkdir()
    Path("f/broken.mp4").symlink_to("nowhere.mp4")  # opening it raises the error
    Path("f/circle.mp4").symlink_to("circle.mp4")
    Path("f/link.mp4").symlink_to("a.wav")
    Path("f/pipe_link.mp4").symlink_to("pipe.mp4")
    names = ["b.MP4", "a.wav", "broken.mp4", "circle.mp4", "link.mp4", "sub/deep/c.png", *(f"z/{name}" for name in ODD)]
    assert expand(["f"]) == sorted(f"f/{name}" for name in names)
    monkeypatch.chdir("f")
    assert expand(["."]) == sorted(names)
    assert expand(["./sub/"]) == ["sub/deep/c.png"]


def test_links_to_folders_are_not_followed_and_reported(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch("f/a.mp4", "f/sub/b.mp4", "elsewhere/c.mp4")
    for name, target in {"up": "..", "self": ".", "sub/up": "..", "out": "../elsewhere"}.items():
        Path("f", name).symlink_to(target)
    assert expand(["f"]) == ["f/a.mp4", "f/sub/b.mp4"]
    assert caplog.messages == ["f: links to folders are not followed: f/out, 4 in all"]
    assert expand(["f/out"]) == ["f/out/c.mp4"]  # named explicitly
    # Python's own `**` would go round and round.
    assert expand(["f/**/*.mp4"]) == expand(["**/f/**/*.mp4"]) == ["f/a.mp4", "f/sub/b.mp4"]
    assert expand([f"{here}/**/b.mp4"]) == [f"{here}/f/sub/b.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".txt"])
def test_pipes_sockets_devices_and_broken_links_are_failures_and_never_opened(here: Path, suffix: str) -> None:
    names = {kind: f"{kind}{suffix}" for kind in ("pipe", "socket", "device", "link")}
    os.mkfifo(names["pipe"])
    Path(names["device"]).symlink_to("/dev/zero")
    Path(names["link"]).symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(names["socket"])
        for kind in ("pipe", "socket", "device"):
            assert failure_message(names[kind]) == f"{names[kind]}: is a {kind}, a media file is needed"
    assert failure_message(names["link"]) == f"{names['link']}: is a link to a file that does not exist"


def test_an_empty_name_is_not_the_working_directory(here: Path) -> None:
    touch("a.mp4")
    assert failure_message("") == "'': an empty name; give a file or folder"


def test_the_longest_names_are_found(here: Path) -> None:
    name = "x" * 251 + ".mp4"
    touch(f"f/{name}")
    assert expand(["f", f"f/{name}"]) == [f"f/{name}", f"f/{name}"]
    assert expand([f"{name}x"]) == [f"{name}x"]


def test_names_that_are_not_text_are_kept(here: Path) -> None:
    Path("f").mkdir()
    Path(os.fsdecode(b"f/\xff\xfe.mp4")).touch()
    (found,) = expand(["f"])
    assert os.fsencode(str(found)) == b"f/\xff\xfe.mp4"


def test_hidden_files_of_a_folder_are_left_out(here: Path) -> None:
    touch("f/a.mp4", "f/._a.mp4", "f/.cache/b.mp4", ".hidden/c.mp4")
    assert expand(["f"]) == ["f/a.mp4"]
    assert expand([".hidden"]) == [".hidden/c.mp4"]  # named explicitly
    assert expand(["f/._a.mp4"]) == ["f/._a.mp4"]


def test_a_folder_without_media_becomes_a_failure(here: Path) -> None:
    touch("f/notes.doc", "a.mp4")
    assert failure_message("f") == "f: no media files in this folder"
    outcomes = expand(["f", "a.mp4"])
    assert isinstance(outcomes[0], Failure)
    assert outcomes[1] == "a.mp4"


def test_globs_are_expanded(here: Path) -> None:
    touch("b.mp4", "a.mp4", "sub/c.mp4", "sub/d.wav")
    Path("e.mp4").mkdir()
    assert expand(["*.mp4"]) == ["a.mp4", "b.mp4"]
    assert expand(["**/*.mp4"]) == ["a.mp4", "b.mp4", "sub/c.mp4"]
    assert expand(["[ab].mp4"]) == ["a.mp4", "b.mp4"]
    assert failure_message("*.mkv") == "*.mkv: no matching file"
    touch("[ab].mp4")  # an existing file of that name takes precedence over the pattern
    assert expand(["[ab].mp4"]) == ["[ab].mp4"]


def test_a_list_is_read_from_standard_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "\ufeffa.mp4\r\n\n  with space.mp4  \nünï-映画.mp4\nline\u2028separator.mp4\nb.mp4".encode()
    expected = ["a.mp4", "with space.mp4", "ünï-映画.mp4", "line\u2028separator.mp4", "b.mp4"]
    assert listed(monkeypatch, content) == expected
    (name,) = listed(monkeypatch, b"\xff\xfe.mp4\n")
    assert os.fsencode(str(name)) == b"\xff\xfe.mp4"  # names are bytes and need not be UTF-8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: the list has no paths"),
        (b" \n\n", "standard input: the list has no paths"),
        (b"a.mp4\0b.mp4\0", "standard input: not a list of paths, one per line"),
        ("a.mp4\n".encode("utf-16"), "standard input: not a list of paths, one per line"),
    ],
)
def test_standard_input_that_is_not_a_list_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    (outcome,) = listed(monkeypatch, content)
    assert isinstance(outcome, Failure)
    assert (outcome.source, str(outcome.error)) == ("-", message)


def test_a_txt_file_is_read_as_a_list(here: Path) -> None:
    Path("list.TXT").write_text("a.mp4\nsub/b.mp4\n")
    assert expand(["list.TXT", "c.mp4"]) == ["a.mp4", "sub/b.mp4", "c.mp4"]
    Path("none.txt").touch()
    assert failure_message("none.txt") == "none.txt: the list has no paths"
    Path("media.txt").write_bytes(b"\0\0\0\x20ftypisom")
    assert "not a list of paths" in failure_message("media.txt")
    Path("self.txt").write_text("self.txt\n-\n-x.mp4\n")
    assert expand(["self.txt"]) == ["self.txt", "-", "-x.mp4"]  # the lines of a list name files
    with Path("huge.txt").open("wb") as file:
        file.seek(2**30)
        file.write(b"a.mp4")
    assert "not a list of paths" in failure_message("huge.txt")
    assert expand(["gone.txt"]) == ["gone.txt"]  # opening it raises "not found"


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4", "*" * 300])
def test_an_invalid_name_is_kept_for_the_decoder_or_a_failure(here: Path, name: str) -> None:
    (outcome,) = expand([name])
    assert outcome == name or isinstance(outcome, Failure)


@pytest.fixture
def not_root(here: Path) -> Iterator[None]:
    """Change to an unprivileged user, because root may read everything."""
    here.chmod(0o755)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_an_unreadable_folder_in_a_folder_is_a_failure(here: Path, request: pytest.FixtureRequest) -> None:
    touch("f/a.mp4", "f/b/c.mp4", "f/z.mp4")
    Path("f/b").chmod(0)
    request.getfixturevalue("not_root")
    for argument in ("f", "f/**/*.mp4"):
        first, failure, last = expand([argument])
        assert (first, last) == ("f/a.mp4", "f/z.mp4")
        assert isinstance(failure, Failure)
        assert (failure.source, str(failure.error)) == ("f/b", "f/b: folder cannot be read (Permission denied)")


def test_a_list_without_end_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avscene.cli.inputs.LIST_LIMIT", 2**22)
    with subprocess.Popen(["yes", "a.mp4"], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(cast(BinaryIO, endless.stdout)))
        (outcome,) = expand(["-"])
        endless.kill()
    assert isinstance(outcome, Failure)
    assert str(outcome.error) == "standard input: larger than 4 MiB, the most that is read; split the list"


def test_standard_input_that_cannot_be_read_is_a_failure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it where the stream is closed
    assert failure_message("-") == "standard input: is closed; give the list on it, or files and folders"


def test_unreadable_folders_and_lists_are_kept_for_the_decoder(here: Path, request: pytest.FixtureRequest) -> None:
    touch("f/a.mp4")
    Path("list.txt").write_text("f/a.mp4")
    Path("list.txt").chmod(0)
    Path("f").chmod(0)
    request.getfixturevalue("not_root")
    assert failure_message("f") == "f: folder cannot be read (Permission denied)"
    assert expand(["f/a.mp4", "list.txt"]) == ["f/a.mp4", "list.txt"]
