"""What a user may name on the command line, and the files that are meant."""

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avscene.cli.inputs import expand
from avscene.records import Failure

ODD = ["with space.mp4", "ünï-映画.mp4", "-dash.mp4", "[brackets].mp4", "new\nline.mp4", "two  blanks*?.mp4"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def refusal(argument: str) -> str:
    (outcome,) = expand([argument])
    assert isinstance(outcome, Failure)
    assert outcome.source == argument
    return str(outcome.error)


def listed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> list[str | Failure]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return expand(["-"])


@pytest.mark.parametrize("name", ODD)
def test_a_file_is_itself_whatever_it_is_called(here: Path, name: str) -> None:
    touch(name)
    assert expand([name]) == [name]


def test_order_and_repeats_are_the_users(here: Path) -> None:
    touch("b.mp4", "a.mp4")
    assert expand(["b.mp4", "a.mp4", "b.mp4"]) == ["b.mp4", "a.mp4", "b.mp4"]
    assert expand([]) == []


def test_a_file_that_is_absent_or_no_media_is_left_to_the_decoder(here: Path) -> None:
    touch("notes.doc")
    assert expand(["gone.mp4", "notes.doc"]) == ["gone.mp4", "notes.doc"]


def test_a_folder_is_searched_to_the_bottom_in_order(here: Path) -> None:
    touch("f/b.MP4", "f/a.wav", "f/sub/deep/c.png", "f/notes.txt", "f/README", *(f"f/z/{name}" for name in ODD))
    os.mkfifo("f/pipe.mp4")
    Path("f/folder.mp4").mkdir()
    Path("f/broken.mp4").symlink_to("nowhere.mp4")
    Path("f/link.mp4").symlink_to("a.wav")
    found = expand(["f"])
    assert found == sorted(["f/b.MP4", "f/a.wav", "f/link.mp4", "f/sub/deep/c.png", *(f"f/z/{name}" for name in ODD)])


def test_hidden_files_of_a_folder_are_left_out(here: Path) -> None:
    touch("f/a.mp4", "f/._a.mp4", "f/.cache/b.mp4", ".hidden/c.mp4")
    assert expand(["f"]) == ["f/a.mp4"]
    assert expand([".hidden"]) == [".hidden/c.mp4"]  # asked for by name
    assert expand(["f/._a.mp4"]) == ["f/._a.mp4"]


def test_a_folder_without_media_is_a_failure_in_its_place(here: Path) -> None:
    touch("f/notes.doc", "a.mp4")
    assert refusal("f") == "f: no media files in this folder"
    outcomes = expand(["f", "a.mp4"])
    assert isinstance(outcomes[0], Failure)
    assert outcomes[1] == "a.mp4"


def test_globs(here: Path) -> None:
    touch("b.mp4", "a.mp4", "sub/c.mp4", "sub/d.wav")
    Path("e.mp4").mkdir()
    assert expand(["*.mp4"]) == ["a.mp4", "b.mp4"]
    assert expand(["**/*.mp4"]) == ["a.mp4", "b.mp4", "sub/c.mp4"]
    assert expand(["[ab].mp4"]) == ["a.mp4", "b.mp4"]
    assert refusal("*.mkv") == "*.mkv: no matching file"
    touch("[ab].mp4")  # a file of that very name comes before the pattern
    assert expand(["[ab].mp4"]) == ["[ab].mp4"]


def test_a_list_on_standard_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = "\ufeffa.mp4\r\n\n  with space.mp4  \nünï-映画.mp4\nline\u2028separator.mp4\nb.mp4".encode()
    expected = ["a.mp4", "with space.mp4", "ünï-映画.mp4", "line\u2028separator.mp4", "b.mp4"]
    assert listed(monkeypatch, content) == expected
    (name,) = listed(monkeypatch, b"\xff\xfe.mp4\n")
    assert os.fsencode(str(name)) == b"\xff\xfe.mp4"  # names are bytes, not always text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: the list has no paths"),
        (b" \n\n", "standard input: the list has no paths"),
        (b"a.mp4\0b.mp4\0", "standard input: not a list of paths, one per line"),
        ("a.mp4\n".encode("utf-16"), "standard input: not a list of paths, one per line"),
    ],
)
def test_standard_input_that_is_no_list(monkeypatch: pytest.MonkeyPatch, content: bytes, message: str) -> None:
    (outcome,) = listed(monkeypatch, content)
    assert isinstance(outcome, Failure)
    assert (outcome.source, str(outcome.error)) == ("-", message)


def test_a_txt_file_is_a_list(here: Path) -> None:
    Path("list.TXT").write_text("a.mp4\nsub/b.mp4\n")
    assert expand(["list.TXT", "c.mp4"]) == ["a.mp4", "sub/b.mp4", "c.mp4"]
    Path("none.txt").touch()
    assert refusal("none.txt") == "none.txt: the list has no paths"
    Path("media.txt").write_bytes(b"\0\0\0\x20ftypisom")
    assert "not a list of paths" in refusal("media.txt")
    assert expand(["gone.txt"]) == ["gone.txt"]  # opening it says "not found"


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4", "*" * 300])
def test_a_name_that_no_system_takes_is_left_to_the_decoder_or_refused(here: Path, name: str) -> None:
    (outcome,) = expand([name])
    assert outcome == name or isinstance(outcome, Failure)


@pytest.fixture
def not_root(here: Path) -> Iterator[None]:
    """Root may read everything: be nobody for a while."""
    here.chmod(0o755)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def test_a_folder_or_list_that_may_not_be_read_is_left_to_the_decoder(
    here: Path, request: pytest.FixtureRequest
) -> None:
    touch("f/a.mp4")
    Path("list.txt").write_text("f/a.mp4")
    Path("list.txt").chmod(0)
    Path("f").chmod(0)
    request.getfixturevalue("not_root")
    assert isinstance(expand(["f"])[0], Failure)
    assert expand(["f/a.mp4", "list.txt"]) == ["f/a.mp4", "list.txt"]
