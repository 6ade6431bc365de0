"""`data verify` finds what is missing and what is damaged, in archives, in what was unpacked of them, and in data sets
that came by other ways."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.tau import archives
from avscene.datasets.tau import layout as tau
from avscene.datasets.tau.archives import SHELF, Collection, Record, write_record
from avscene.datasets.tau.unpack import unpack
from avscene.datasets.tau.verify import Verification, verify
from avscene.errors import DataError
from tests.support import small_tau
from tests.support.archive_server import published
from tests.support.command_line import run
from tests.support.media_files import write_media


def quiet(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return small_tau.files(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="module")
def packed(content: dict[str, bytes]) -> dict[str, tuple[archives.Kind, bytes]]:
    return small_tau.archives(content)


@pytest.fixture
def small(packed: dict[str, tuple[archives.Kind, bytes]], monkeypatch: pytest.MonkeyPatch) -> Collection:
    """The small data set in the place of the published one."""
    made = published(packed, "https://nowhere.example/", small_tau.PREFIX)
    monkeypatch.setattr(archives, "collections", lambda: {"tau-2021": made})
    monkeypatch.setattr(tau, "PUBLISHED", small_tau.PUBLISHED)
    return made


@pytest.fixture
def root(small: Collection, packed: dict[str, tuple[archives.Kind, bytes]], tmp_path: Path) -> Path:
    """All of it, fetched and unpacked."""
    return fetched(small, packed, tmp_path / "tau", "all")


def fetched(small: Collection, packed: dict[str, tuple[archives.Kind, bytes]], root: Path, subset: str) -> Path:
    for archive in small.subset(subset):
        small_tau.write(root, {f"{SHELF}/{archive.name}": packed[archive.label][1]})
        members = unpack(archive.path(root), root, partial(quiet, "unpacking"))
        write_record(archive, root, Record(md5=archive.md5, members=members))
    return root


def states(found: Verification) -> dict[str, str]:
    return {one.name.partition(".")[2]: one.state for one in found.archives}


def test_a_whole_data_set(root: Path) -> None:
    found = verify(root, quiet)
    assert found.is_whole
    assert set(states(found).values()) == {"whole"}
    assert found.not_fetched == ()
    assert found.problems == {}
    assert found.files == 8 + 3 + 1 + 1  # media, tables, README, an example


def test_archives(small: Collection, root: Path) -> None:
    by_label = {archive.label: archive for archive in small.archives}
    by_label["doc.zip"].path(root).unlink()
    by_label["meta.zip"].path(root).write_bytes(b"cut")
    content = bytearray(by_label["audio.1.zip"].path(root).read_bytes())
    content[-1] ^= 1
    by_label["audio.1.zip"].path(root).write_bytes(content)
    two = by_label["audio.2.zip"]
    two.path(root).rename(two.part(root))
    two.record_path(root).unlink()
    by_label["video.1.zip"].record_path(root).write_text("torn")
    found = verify(root, quiet)
    assert states(found) == {
        "doc.zip": "unpacked",
        "meta.zip": "damaged",
        "examples.zip": "whole",
        "audio.1.zip": "damaged",
        "audio.2.zip": "incomplete",
        "video.1.zip": "packed",
    }
    assert not found.is_whole
    assert found.problems == {}  # all files are there and as they should be
    two.part(root).unlink()
    assert states(verify(root, quiet))["audio.2.zip"] == "missing"


DAMAGE = {
    "gone": (None, "is not there"),
    "empty": (b"", "has 0 bytes, not"),
    "cut": (slice(None, -10), "bytes, not"),
    "changed": ("x", "is damaged: its CRC is not that of the archive"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", [f"audio/{small_tau.TRAIN[0]}.wav", f"video/{small_tau.TEST[0]}.mp4"])
def test_unpacked_files(root: Path, name: str, kind: str) -> None:
    how, message = DAMAGE[kind]
    path = next(root.rglob(name))
    before = path.read_bytes()
    if how is None:
        path.unlink()
    elif isinstance(how, slice):
        path.write_bytes(before[how])
    else:
        path.write_bytes(b"" if how == b"" else before[:-1] + bytes([before[-1] ^ 1]))
    found = verify(root, quiet)
    assert not found.is_whole
    (problem,) = found.problems.items()
    assert problem[0] == path.relative_to(root).as_posix()
    assert message in problem[1]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(before)
    assert verify(root, quiet).is_whole


def test_sound_alone_does_not_miss_the_picture(
    small: Collection, packed: dict[str, tuple[archives.Kind, bytes]], tmp_path: Path
) -> None:
    root = fetched(small, packed, tmp_path, "audio")
    found = verify(root, quiet)
    assert found.is_whole
    assert found.not_fetched == ("examples", "video")
    (root / "audio" / f"{small_tau.TRAIN[1]}.wav").unlink()
    assert list(verify(root, quiet).problems) == [f"audio/{small_tau.TRAIN[1]}.wav"]


def test_tables_that_wait_to_be_unpacked_are_told(
    small: Collection, packed: dict[str, tuple[archives.Kind, bytes]], tmp_path: Path
) -> None:
    small_tau.write(tmp_path, {f"{SHELF}/{small.archives[1].name}": packed["meta.zip"][1]})
    found = verify(tmp_path, quiet)
    assert states(found) == {"meta.zip": "packed"}
    assert not found.is_whole


def test_an_evaluation_set_has_no_scenes_and_is_whole(
    content: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = b"filename_audio\tfilename_video\naudio/0.wav\tvideo/0.mp4\n"
    media = {f"{kind}/0.{ending}": b"" for kind, ending in (("audio", "wav"), ("video", "mp4"))}
    packed = {
        label: made
        for label, made in small_tau.archives(media | {"meta.csv": columns}).items()
        if "examples" not in label
    }
    prefix = small_tau.PREFIX.replace("development", "evaluation")
    made = published(packed, "https://nowhere.example/", prefix)
    monkeypatch.setattr(archives, "collections", lambda: {"tau-2021-evaluation": made})
    root = fetched(made, packed, tmp_path, "all")
    assert verify(root, quiet).is_whole
    (root / "audio" / "0.wav").unlink()
    assert list(verify(root, quiet).problems) == ["audio/0.wav"]
    with pytest.raises(DataError, match=r"no meta\.csv that says what scenes they show \(an evaluation set has none\)"):
        read_dataset(root)


@pytest.mark.parametrize("subset", ["meta", "examples"])
def test_subsets_without_media_are_whole(
    small: Collection, packed: dict[str, tuple[archives.Kind, bytes]], tmp_path: Path, subset: str
) -> None:
    root = fetched(small, packed, tmp_path, subset)
    assert verify(root, quiet).is_whole


def test_what_came_another_way_is_opened(small: Collection, content: dict[str, bytes], tmp_path: Path) -> None:
    assert small
    root = small_tau.write(tmp_path / "tau", content)
    found = verify(root, quiet)
    assert found.is_whole
    assert (found.archives, found.files) == ((), 8)
    audio = root / "audio" / f"{small_tau.TRAIN[0]}.wav"
    audio.write_bytes(audio.read_bytes()[:-1000])
    video = root / "video" / f"{small_tau.TRAIN[1]}.mp4"
    video.write_bytes(video.read_bytes()[:400])
    (root / "video" / f"{small_tau.TEST[0]}.mp4").write_bytes(b"")
    (root / "audio" / f"{small_tau.TEST[1]}.wav").unlink()
    (root / "audio" / f"{small_tau.TRAIN[1]}.wav").write_bytes(b"no sound at all")
    problems = verify(root, quiet).problems
    assert {
        name.split("/")[0] + "/" + name[-7:]: text.split(":")[0].split(" (")[0] for name, text in problems.items()
    } == {
        "audio/106.wav": "is cut off",
        "audio/7-2.wav": "is not a media file that can be read",
        "video/7-2.mp4": "is truncated",
        "video/0-1.mp4": "is empty",
        "audio/9-4.wav": "is not there",
    }


def test_numbers_that_are_not_the_published_ones_are_told(
    small: Collection, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert small
    monkeypatch.setattr(tau, "PUBLISHED", {"train": (2, 2), "test": (3, 3)})
    found = verify(root, quiet)
    assert found.deviations == ("test: 2 recordings of 2 locations; published are 3 of 3",)
    assert not found.is_whole


def test_a_split_that_leaks_is_told(small: Collection, content: dict[str, bytes], tmp_path: Path) -> None:
    assert small
    lists = small_tau.tables(test=(*small_tau.TEST, small_tau.TRAIN[0]))
    root = small_tau.write(tmp_path, content | lists | {"meta.csv": content["meta.csv"]})
    (told,) = verify(root, quiet).deviations
    assert "is for training and for testing" in told


def test_folders_of_scenes(tmp_path: Path) -> None:
    (tmp_path / "park").mkdir()
    write_media(tmp_path / "park" / "a.mp4", 1.0, fps=5)
    (tmp_path / "tram").mkdir()
    (tmp_path / "tram" / "b.mp4").write_bytes(b"")
    assert verify(tmp_path, quiet).problems == {"tram/b.mp4": "is empty (0 bytes)"}


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        verify(tmp_path / "gone", quiet)
    with pytest.raises(DataError, match="is no data set"):
        verify(tmp_path, quiet)


# At the door


def test_verify_at_the_door(small: Collection, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = run(capfd, "data", "verify", root)
    assert (done.code, done.told) == (0, [])
    assert done.out.splitlines()[-1] == f"{root}: nothing is missing or damaged (13 files)"
    assert [line.split()[1:] for line in done.out.splitlines()[:6]] == [["whole"]] * 6
    shutil.rmtree(root / "audio")
    small.archives[4].path(root).write_bytes(b"")
    broken = run(capfd, "data", "verify", root)
    assert broken.code == 3
    lines = broken.out.splitlines()
    assert lines[4].split() == [small.archives[4].name, "damaged", "0", "bytes,", "not", str(small.archives[4].bytes)]
    assert f"  audio/{small_tau.TRAIN[0]}.wav: is not there" in lines
    assert lines[-2] == f"{root}: incomplete: 1 of 6 archives and 4 of 13 files are missing or damaged"
    assert lines[-1] == f"  delete the damaged files, then run: avscene data download tau-2021 --output {root}"
    assert run(capfd, "data", "verify", root / "gone").refused() == f"{root / 'gone'}: is not there"


def test_long_lists_are_shortened_and_no_name_acts_on_the_terminal(
    content: dict[str, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [f"bus-lyon-7-{number}\x1b[2J" for number in range(30)]
    head = content["meta.csv"].decode().splitlines()[0]
    meta = "\n".join([head, *(f"{small_tau.row(name)}\tx" for name in names)])
    root = small_tau.write(tmp_path, {"meta.csv": meta.encode()})
    done = run(capfd, "data", "verify", root)
    assert done.code == 3
    assert "  ... and 40 more" in done.out
    assert "\x1b" not in done.out
