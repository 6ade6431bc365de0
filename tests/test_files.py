"""Files and directories appear complete or not at all, and locks exclude other processes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from avscene.errors import DataError
from avscene.files import (
    cache_directory,
    lock,
    new_directory,
    read_bytes,
    replace_when_complete,
    sha256_of,
    write_bytes,
    write_text,
)
from tests.support.small_disk import fill, small_disk

__all__ = ["small_disk"]  # a fixture


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_write_text_replaces_the_file_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_text(path, "old\n")
    with path.open() as reader:
        write_text(path, "näw\n")
        assert reader.read() == "old\n"
    assert path.read_bytes() == "näw\n".encode()
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("one_writer", [False, True])
def test_an_error_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, one_writer: bool) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replace_when_complete(path, one_writer=one_writer) as partial:
            partial.write_text("new, but")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_keeps_the_old_file(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(100_000)
    path = disk / "a.bin"
    write_bytes(path, b"old")
    fill(disk)
    with pytest.raises(DataError, match=r"a\.bin: cannot be written: No space left on device"):
        write_bytes(path, bytes(50_000))
    assert path.read_bytes() == b"old"
    assert names(disk) == ["a.bin", "filler"]


def test_the_temporary_file_of_a_killed_writer_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".a.bin.part").write_bytes(b"left by a killed process, and long")
    with replace_when_complete(tmp_path / "a.bin", one_writer=True) as partial:
        partial.write_bytes(b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    write_text(path, "text")
    assert path.read_text() == "text"


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "a")
    (tmp_path / "b").write_text("b")
    with new_directory(tmp_path / "c"):
        pass
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o755


def test_a_directory_appears_complete(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "new"
    with new_directory(directory) as partial:
        (partial / "a").write_text("a")
        assert not directory.exists()
    assert names(directory) == ["a"]
    assert names(directory.parent) == ["new"]


def test_a_directory_never_replaces_another(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "precious").write_text("kept")
    with pytest.raises(OSError, match="not empty"), new_directory(tmp_path / "old") as partial:
        (partial / "a").write_text("a")
    assert names(tmp_path) == ["old"]
    assert names(tmp_path / "old") == ["precious"]


TAKE_LOCK = """
import sys
from pathlib import Path
from avscene.files import lock

try:
    with lock(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
except BlockingIOError:
    print("refused", flush=True)
"""


def test_a_lock_excludes_other_processes_and_ends_with_its_own(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", TAKE_LOCK, str(tmp_path / ".lock")]
    other = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), lock(tmp_path / ".lock"):
            pass
    finally:
        other.kill()
        other.communicate()
    with lock(tmp_path / ".lock"):
        refused = subprocess.run(arguments, input="", capture_output=True, text=True, check=True)
    assert refused.stdout == "refused\n"


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(("setting", "expected"), [("/somewhere", "/somewhere/avscene"), ("", "~/.cache/avscene")])
def test_cache_directory(monkeypatch: pytest.MonkeyPatch, setting: str, expected: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", setting)
    assert str(cache_directory()) == os.path.expanduser(expected)  # noqa: PTH111


def test_a_pipe_that_no_program_writes_to_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avscene.files.PIPE_PATIENCE", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe: is a pipe, and no program writes to it"):
        read_bytes(tmp_path / "pipe")


@pytest.mark.parametrize("size", [1, 2**20])
def test_a_pipe_is_read_as_soon_as_a_program_writes_to_it(tmp_path: Path, size: int) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = f"sleep 0.2; exec > {tmp_path / 'pipe'}; sleep 0.2; head -c {size} /dev/zero"
    with subprocess.Popen(["sh", "-c", command]) as writer:
        assert read_bytes(tmp_path / "pipe") == bytes(size)
        assert writer.wait() == 0


def test_a_closed_pipe_with_content_is_read(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"text")
    os.close(write)
    assert read_bytes(Path(f"/dev/fd/{read}")) == b"text"
    os.close(read)


def test_the_target_of_a_link_is_replaced_and_a_device_is_not(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"
    (tmp_path / "device").symlink_to(os.devnull)
    write_text(tmp_path / "device", "text")
    assert Path(os.devnull).is_char_device()
    assert names(tmp_path) == ["device", "link", "target"]
