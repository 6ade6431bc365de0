"""Zip files that nobody vouches for: what is honest is unpacked whole, what is not leaves nothing outside and nothing
half."""

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.datasets.tau import unpack as unpacking
from avscene.datasets.tau.unpack import unpack
from avscene.errors import DataError
from tests.support.archive_server import zipped

FILES = {"TAU-x/audio/a.wav": os.urandom(3_000_000), "TAU-x/empty.csv": b"", "readme": b"text " * 1000}


def quiet(done: int, total: int) -> None:
    assert done <= total


def place(tmp_path: Path, content: bytes) -> tuple[Path, Path]:
    """The archive, and the directory for what it holds: one that has a neighbour to be hit."""
    archive, root = tmp_path / "archives" / "x.zip", tmp_path / "outer" / "root"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(content)
    root.mkdir(parents=True)
    return archive, root


def found(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_honest_archive_is_unpacked(tmp_path: Path) -> None:
    archive, root = place(tmp_path, zipped(FILES))
    told: list[tuple[int, ...]] = []
    members = unpack(archive, root, lambda *translate_errors: told.append(translate_errors))
    assert found(root) == FILES
    assert {name: size for name, (size, _) in members.items()} == {name: len(data) for name, data in FILES.items()}
    total = sum(map(len, FILES.values()))
    assert told[-1] == (total, total)


def test_what_is_there_is_replaced_and_neighbours_stay(tmp_path: Path) -> None:
    archive, root = place(tmp_path, zipped(FILES))
    (root / "readme").write_text("old")
    (root / ".readme.part").write_text("left by an unpacking that was killed")
    (root / "mine").write_text("mine")
    with (root / "readme").open() as reader:
        unpack(archive, root, quiet)
        assert reader.read() == "old"  # who reads it sees the old file or the new one, never half of one
    assert found(root) == FILES | {"mine": b"mine"}


def test_a_folder_that_the_user_linked_to_another_disk_is_followed(tmp_path: Path) -> None:
    archive, root = place(tmp_path, zipped({"audio/a.wav": b"sound"}))
    (tmp_path / "disk").mkdir()
    (root / "audio").symlink_to(tmp_path / "disk")
    unpack(archive, root, quiet)
    assert (tmp_path / "disk" / "a.wav").read_bytes() == b"sound"


def special(name: str, kind: int) -> Callable[[zipfile.ZipFile], None]:
    def add(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")

    return add


def named(*names: str) -> Callable[[zipfile.ZipFile], None]:
    def add(archive: zipfile.ZipFile) -> None:
        for name in names:
            info = zipfile.ZipInfo("x" * len(name))
            info.filename = name  # as it is: ZipInfo() would mend some
            archive.writestr(info, "hit")

    return add


HOSTILE = {
    "up": (named("../hit"), "is no path below"),
    "up from within": (named("audio/../../hit"), "is no path below"),
    "up and back": (named("audio/../hit"), "is no path below"),
    "absolute": (named("/tmp/avscene-hit"), "is no path below"),
    "a dot": (named("./hit"), "is no path below"),
    "doubled slashes": (named("audio//hit"), "is no path below"),
    "a drive": (named("C:hit"), "is no portable name"),
    "a stream of another file": (named("a.wav:hit"), "is no portable name"),
    "backslashes": (named("..\\hit"), "is no portable name"),
    "a terminal's escape": (named("a\x1b[2Jhit"), "is no portable name"),
    "a line break": (named("a\nhit"), "is no portable name"),
    "into the archives": (named("archives/x.zip.unpacked.json"), "would be among the archives"),
    "into the archives, shouted": (named("ARCHIVES/hit"), "would be among the archives"),
    "twice": (named("hit", "hit"), "is there twice"),
    "a link": (special("hit", stat.S_IFLNK), "is a link or a device"),
    "a pipe": (special("hit", stat.S_IFIFO), "is a link or a device"),
    "a device": (special("hit", stat.S_IFCHR), "is a link or a device"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_member_is_refused_before_any_is_written(tmp_path: Path, kind: str) -> None:
    add, message = HOSTILE[kind]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("first", "harmless")
        add(opened)
    archive, root = place(tmp_path, made.getvalue())
    before = found(tmp_path)
    with pytest.raises(DataError, match=rf"x\.zip: is refused: .* {message}") as caught:
        unpack(archive, root, quiet)
    assert found(tmp_path) == before
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_encryption_is_told(tmp_path: Path) -> None:
    content = bytearray(zipped({"a": b"a"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    archive, root = place(tmp_path, bytes(content))
    with pytest.raises(DataError, match="'a' is encrypted"):
        unpack(archive, root, quiet)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SMALL", 1_000_000)
    content = zipped({f"{number}.wav": bytes(400_000) for number in range(10)})
    assert len(content) < 20_000
    archive, root = place(tmp_path, content)
    with pytest.raises(DataError, match=r"is refused: it would unpack to 4\.0 MB"):
        unpack(archive, root, quiet)
    assert found(root) == {}


def test_a_bomb_that_lies_about_its_size_writes_no_more_than_it_says(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.wav": bytes(50_000_000)}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(mark) + offset
        content[at : at + 4] = struct.pack("<I", 1000)
    archive, root = place(tmp_path, bytes(content))
    with pytest.raises(DataError, match=r"x\.zip: is damaged"):
        unpack(archive, root, quiet)
    assert found(root) == {}


def test_more_files_than_any_archive_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 2)
    archive, root = place(tmp_path, zipped(FILES))
    with pytest.raises(DataError, match="it holds 3 files"):
        unpack(archive, root, quiet)


def test_damage_leaves_whole_files_only(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("first", b"1" * 1000)
        opened.writestr("second", b"2" * 3_000_000)
    content = bytearray(made.getvalue())
    content[1_500_000] ^= 1
    archive, root = place(tmp_path, bytes(content))
    with pytest.raises(DataError, match=r"is damaged \(Bad CRC-32 for file 'second'\); delete it and fetch it again"):
        unpack(archive, root, quiet)
    assert found(root) == {"first": b"1" * 1000}


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>", bytes(1000), zipped(FILES)[:-10]], ids=len)
def test_what_is_no_zip_is_told(tmp_path: Path, content: bytes) -> None:
    archive, root = place(tmp_path, content)
    with pytest.raises(DataError, match="is damaged"):
        unpack(archive, root, quiet)


def test_an_archive_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        unpack(tmp_path / "x.zip", tmp_path, quiet)


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    archive, root = place(tmp_path, zipped({"a": b"a"}))
    (root / "a" / "b").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be unpacked into"):
        unpack(archive, root, quiet)
    assert found(root) == {}


def test_a_disk_without_room_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, root = place(tmp_path, zipped(FILES))
    usage = unpacking.shutil.disk_usage(root)._replace(free=1000)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"unpacks to 3\.0 MB and .* has 1\.0 kB free"):
        unpack(archive, root, quiet)
    assert found(root) == {}


SMALL_ZIP = zipped({"one/a.wav": b"sound" * 40, "b.csv": b"table"})


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(SMALL_ZIP) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_no_change_of_bytes_gets_past(tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]) -> None:
    """Whatever is changed: the archive is refused, or every file is as its own checksum says, and in its place."""
    content = bytearray(SMALL_ZIP)
    for position, difference in changes:
        content[position] ^= difference
    outer = tmp_path_factory.mktemp("fuzz")
    archive, root = place(outer, bytes(content))
    told = ""
    try:
        unpack(archive, root, quiet)
    except DataError as error:
        told = str(error)
    assert "\n" not in told
    assert set(found(outer)) - {"archives/x.zip"} <= {f"outer/root/{name}" for name in found(root)}
    assert not list(outer.rglob("*.part"))
    assert all(data in (b"sound" * 40, b"table", b"") for data in found(root).values())
