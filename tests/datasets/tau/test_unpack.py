"""Valid zip files are unpacked completely; hostile or damaged ones leave nothing outside and nothing incomplete."""

import io
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avscene.datasets.tau import unpack as unpacking
from avscene.datasets.tau.archives import format_bytes
from avscene.datasets.tau.unpack import unpack
from avscene.errors import DataError
from tests.support.archive_server import zipped
from tests.support.downloads import checked_counts
from tests.support.small_disk import fill

FILES = {
    "TAU-x/audio/a.wav": np.random.default_rng(0).bytes(3_000_000),
    "TAU-x/empty.csv": b"",
    "readme": b"text " * 1000,
}


def write_archive(tmp_path: Path, content: bytes) -> tuple[Path, Path]:
    """Write the archive, and make a directory to unpack it into, beside files that a hostile archive may hit."""
    archive, root = tmp_path / "archives" / "x.zip", tmp_path / "outer" / "root"
    archive.parent.mkdir(exist_ok=True)
    archive.write_bytes(content)
    root.mkdir(parents=True)
    return archive, root


def found(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_valid_archive_is_unpacked(tmp_path: Path) -> None:
    archive, root = write_archive(tmp_path, zipped(FILES))
    counts: list[tuple[int, ...]] = []
    members = unpack(archive, root, lambda *pair: counts.append(pair))
    assert found(root) == FILES
    assert {name: size for name, (size, _) in members.items()} == {name: len(data) for name, data in FILES.items()}
    total = sum(map(len, FILES.values()))
    assert counts[-1] == (total, total)


def test_existing_files_are_replaced_and_other_files_stay(tmp_path: Path) -> None:
    archive, root = write_archive(tmp_path, zipped(FILES))
    (root / "readme").write_text("old")
    (root / ".readme.part").write_text("left by a killed process")
    (root / "mine").write_text("mine")
    with (root / "readme").open() as reader:
        unpack(archive, root, checked_counts)
        assert reader.read() == "old"  # a reader has the old file or the new one, never a mixture
    assert found(root) == FILES | {"mine": b"mine"}


def test_a_folder_linked_to_another_disk_is_followed(tmp_path: Path) -> None:
    archive, root = write_archive(tmp_path, zipped({"audio/a.wav": b"audio"}))
    (tmp_path / "disk").mkdir()
    (root / "audio").symlink_to(tmp_path / "disk")
    unpack(archive, root, checked_counts)
    assert (tmp_path / "disk" / "a.wav").read_bytes() == b"audio"


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
            info.filename = name  # set directly: ZipInfo() would normalise some names
            archive.writestr(info, "hit")

    return add


HOSTILE = {
    "up": (named("../hit"), "is not a path below"),
    "up from within": (named("audio/../../hit"), "is not a path below"),
    "up and back": (named("audio/../hit"), "is not a path below"),
    "absolute": (named("/tmp/avscene-hit"), "is not a path below"),
    "a dot": (named("./hit"), "is not a path below"),
    "doubled slashes": (named("audio//hit"), "is not a path below"),
    "a drive": (named("C:hit"), "is not a portable name"),
    "a stream of another file": (named("a.wav:hit"), "is not a portable name"),
    "backslashes": (named("..\\hit"), "is not a portable name"),
    "a terminal escape sequence": (named("a\x1b[2Jhit"), "is not a portable name"),
    "a line break": (named("a\nhit"), "is not a portable name"),
    "into the archives": (named("archives/x.zip.unpacked.json"), "would be among the archives"),
    "into the archives, in capitals": (named("ARCHIVES/hit"), "would be among the archives"),
    "twice": (named("hit", "hit"), "is repeated"),
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
    archive, root = write_archive(tmp_path, made.getvalue())
    before = found(tmp_path)
    with pytest.raises(DataError, match=rf"x\.zip: refused: .* {message}") as caught:
        unpack(archive, root, checked_counts)
    assert found(tmp_path) == before
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a": b"a"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    archive, root = write_archive(tmp_path, bytes(content))
    with pytest.raises(DataError, match="'a' is encrypted"):
        unpack(archive, root, checked_counts)


def test_a_zip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SMALL", 1_000_000)
    content = zipped({f"{number}.wav": bytes(400_000) for number in range(10)})
    assert len(content) < 20_000
    archive, root = write_archive(tmp_path, content)
    with pytest.raises(DataError, match=r"refused: it would unpack to 4\.0 MB"):
        unpack(archive, root, checked_counts)
    assert found(root) == {}


def test_a_zip_bomb_with_a_wrong_size_writes_nothing(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.wav": bytes(50_000_000)}))
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(mark) + offset
        content[at : at + 4] = struct.pack("<I", 1000)
    archive, root = write_archive(tmp_path, bytes(content))
    with pytest.raises(DataError, match=r"x\.zip: is damaged"):
        unpack(archive, root, checked_counts)
    assert found(root) == {}


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_MEMBERS", 2)
    archive, root = write_archive(tmp_path, zipped(FILES))
    with pytest.raises(DataError, match="it holds 3 files"):
        unpack(archive, root, checked_counts)


def test_damage_leaves_complete_files_only(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        opened.writestr("first", b"1" * 1000)
        opened.writestr("second", b"2" * 3_000_000)
    content = bytearray(made.getvalue())
    content[1_500_000] ^= 1
    archive, root = write_archive(tmp_path, bytes(content))
    with pytest.raises(DataError, match=r"is damaged \(Bad CRC-32 for file 'second'\); delete it and fetch it again"):
        unpack(archive, root, checked_counts)
    assert found(root) == {"first": b"1" * 1000}


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>", bytes(1000), zipped(FILES)[:-10]], ids=len)
def test_a_file_that_is_not_a_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    archive, root = write_archive(tmp_path, content)
    with pytest.raises(DataError, match="is damaged"):
        unpack(archive, root, checked_counts)


def test_a_missing_archive_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        unpack(tmp_path / "x.zip", tmp_path, checked_counts)


def test_a_folder_in_the_place_of_a_file_is_reported(tmp_path: Path) -> None:
    archive, root = write_archive(tmp_path, zipped({"a": b"a"}))
    (root / "a" / "b").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be unpacked into"):
        unpack(archive, root, checked_counts)
    assert found(root) == {}


def test_free_space_is_checked_first(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    archive, _ = write_archive(tmp_path, zipped(FILES))
    disk = small_disk(1_000_000)
    free = re.escape(format_bytes(shutil.disk_usage(disk).free))
    with pytest.raises(DataError, match=rf"unpacks to 3\.0 MB and .* has {free} free"):
        unpack(archive, disk, checked_counts)
    assert found(disk) == {}


def test_a_disk_that_fills_up_leaves_complete_files_only(tmp_path: Path, small_disk: Callable[[int], Path]) -> None:
    archive, _ = write_archive(tmp_path, zipped({"small": b"small", **FILES}))
    disk = small_disk(4_000_000)

    def fill_disk(done: int, total: int) -> None:
        if done == len("small"):
            fill(disk, leave=1_000_000)

    with pytest.raises(DataError, match=r"x\.zip: cannot be unpacked into .* \(No space left on device\)"):
        unpack(archive, disk, fill_disk)
    assert found(disk).keys() == {"small", "filler"}


SMALL_ZIP = zipped({"one/a.wav": b"audio" * 40, "b.csv": b"table"})


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(SMALL_ZIP) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_any_changed_bytes_are_harmless(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    """After any change, the archive is refused, or every file has its checksum and its path."""
    content = bytearray(SMALL_ZIP)
    for position, difference in changes:
        content[position] ^= difference
    outer = tmp_path_factory.mktemp("fuzz")
    archive, root = write_archive(outer, bytes(content))
    message = ""
    try:
        unpack(archive, root, checked_counts)
    except DataError as error:
        message = str(error)
    assert "\n" not in message
    assert set(found(outer)) - {"archives/x.zip"} <= {f"outer/root/{name}" for name in found(root)}
    assert not list(outer.rglob("*.part"))
    assert all(data in (b"audio" * 40, b"table", b"") for data in found(root).values())
