"""Verification finds missing and damaged archives and files, also in data sets that were not downloaded by avscene."""

import shutil
from pathlib import Path

import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.tau import archives
from avscene.datasets.tau import layout as tau
from avscene.datasets.tau.archives import ARCHIVES_FOLDER, PublishedDataSet, UnpackRecord, write_record
from avscene.datasets.tau.unpack import unpack
from avscene.datasets.verify import Verification, verify
from avscene.errors import DataError
from tests.support import small_tau
from tests.support.archive_server import published as publish
from tests.support.command_line import run
from tests.support.downloads import checked_counts, checked_progress
from tests.support.media_files import write_media

Packed = dict[str, tuple[archives.ArchiveKind, bytes]]


@pytest.fixture
def root(published: PublishedDataSet, packed: Packed, tmp_path: Path) -> Path:
    """The small data set, downloaded and unpacked."""
    return fetched(published, packed, tmp_path / "tau", "all")


def fetched(published: PublishedDataSet, packed: Packed, root: Path, subset: str) -> Path:
    for archive in published.subset(subset):
        small_tau.write(root, {f"{ARCHIVES_FOLDER}/{archive.name}": packed[archive.label][1]})
        members = unpack(archive.path(root), root, checked_counts)
        write_record(archive, root, UnpackRecord(md5=archive.md5, members=members))
    return root


def states(found: Verification) -> dict[str, str]:
    return {one.name.partition(".")[2]: one.status for one in found.archives}


def test_an_intact_data_set(root: Path) -> None:
    found = verify(root, checked_progress)
    assert found.is_whole
    assert set(states(found).values()) == {"whole"}
    assert found.not_fetched == ()
    assert found.problems == {}
    assert found.files == 8 + 3 + 1 + 1  # media, tables, README, an example


def test_missing_and_damaged_archives(published: PublishedDataSet, root: Path) -> None:
    by_label = {archive.label: archive for archive in published.archives}
    by_label["doc.zip"].path(root).unlink()
    by_label["meta.zip"].path(root).write_bytes(b"cut")
    content = bytearray(by_label["audio.1.zip"].path(root).read_bytes())
    content[-1] ^= 1
    by_label["audio.1.zip"].path(root).write_bytes(content)
    two = by_label["audio.2.zip"]
    two.path(root).rename(two.part(root))
    two.record_path(root).unlink()
    by_label["video.1.zip"].record_path(root).write_text("torn")
    found = verify(root, checked_progress)
    assert states(found) == {
        "doc.zip": "unpacked",
        "meta.zip": "damaged",
        "examples.zip": "whole",
        "audio.1.zip": "damaged",
        "audio.2.zip": "incomplete",
        "video.1.zip": "packed",
    }
    assert not found.is_whole
    assert found.problems == {}  # all unpacked files are intact
    two.part(root).unlink()
    assert states(verify(root, checked_progress))["audio.2.zip"] == "missing"


DAMAGE = {
    "gone": (None, "not found"),
    "empty": (b"", "has 0 bytes, not"),
    "cut": (slice(None, -10), "bytes, not"),
    "changed": ("x", "is damaged: its CRC is not that of the archive"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", [f"audio/{small_tau.TRAIN[0]}.wav", f"video/{small_tau.TEST[0]}.mp4"])
def test_missing_and_damaged_files(root: Path, name: str, kind: str) -> None:
    how, message = DAMAGE[kind]
    path = next(root.rglob(name))
    before = path.read_bytes()
    if how is None:
        path.unlink()
    elif isinstance(how, slice):
        path.write_bytes(before[how])
    else:
        path.write_bytes(b"" if how == b"" else before[:-1] + bytes([before[-1] ^ 1]))
    found = verify(root, checked_progress)
    assert not found.is_whole
    (problem,) = found.problems.items()
    assert problem[0] == path.relative_to(root).as_posix()
    assert message in problem[1]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(before)
    assert verify(root, checked_progress).is_whole


def test_without_video_archives_video_files_are_not_missing(
    published: PublishedDataSet, packed: Packed, tmp_path: Path
) -> None:
    root = fetched(published, packed, tmp_path, "audio")
    found = verify(root, checked_progress)
    assert found.is_whole
    assert found.not_fetched == ("examples", "video")
    (root / "audio" / f"{small_tau.TRAIN[1]}.wav").unlink()
    assert list(verify(root, checked_progress).problems) == [f"audio/{small_tau.TRAIN[1]}.wav"]


def test_archives_that_are_not_unpacked_are_reported(
    published: PublishedDataSet, packed: Packed, tmp_path: Path
) -> None:
    small_tau.write(tmp_path, {f"{ARCHIVES_FOLDER}/{published.archives[1].name}": packed["meta.zip"][1]})
    found = verify(tmp_path, checked_progress)
    assert states(found) == {"meta.zip": "packed"}
    assert not found.is_whole


def test_an_evaluation_set_without_scenes_is_whole(
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
    made = publish(packed, "https://nowhere.example/", prefix)
    monkeypatch.setattr(archives, "published_data_sets", lambda: {"tau-2021-evaluation": made})
    root = fetched(made, packed, tmp_path, "all")
    assert verify(root, checked_progress).is_whole
    with pytest.raises(DataError, match=r"has no labels .*: an evaluation set has none"):
        read_dataset(root)
    (root / "audio" / "0.wav").unlink()
    assert list(verify(root, checked_progress).problems) == ["audio/0.wav"]


@pytest.mark.parametrize("subset", ["meta", "examples"])
def test_subsets_without_media_are_whole(
    published: PublishedDataSet, packed: Packed, tmp_path: Path, subset: str
) -> None:
    root = fetched(published, packed, tmp_path, subset)
    assert verify(root, checked_progress).is_whole


def test_files_without_archives_are_opened(
    published: PublishedDataSet, content: dict[str, bytes], tmp_path: Path
) -> None:
    root = small_tau.write(tmp_path / "tau", content)
    found = verify(root, checked_progress)
    assert found.is_whole
    assert (found.archives, found.files) == ((), 8)
    audio = root / "audio" / f"{small_tau.TRAIN[0]}.wav"
    audio.write_bytes(audio.read_bytes()[:-1000])
    video = root / "video" / f"{small_tau.TRAIN[1]}.mp4"
    video.write_bytes(video.read_bytes()[:400])
    (root / "video" / f"{small_tau.TEST[0]}.mp4").write_bytes(b"")
    (root / "audio" / f"{small_tau.TEST[1]}.wav").unlink()
    (root / "audio" / f"{small_tau.TRAIN[1]}.wav").write_bytes(b"this is no audio")
    problems = verify(root, checked_progress).problems
    assert {
        name.split("/")[0] + "/" + name[-7:]: text.split(":")[0].split(" (")[0] for name, text in problems.items()
    } == {
        "audio/106.wav": "is cut off",
        "audio/7-2.wav": "is not a media file that can be read",
        "video/7-2.mp4": "is truncated",
        "video/0-1.mp4": "is empty",
        "audio/9-4.wav": "not found",
    }


def test_other_counts_than_the_published_ones_are_reported(
    published: PublishedDataSet, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tau, "PUBLISHED", {"train": (2, 2), "test": (3, 3)})
    found = verify(root, checked_progress)
    assert found.deviations == ("test: 2 recordings of 2 locations; published are 3 of 3",)
    assert not found.is_whole


def test_a_recording_in_both_lists_is_reported(
    published: PublishedDataSet, content: dict[str, bytes], tmp_path: Path
) -> None:
    lists = small_tau.tables(test=(*small_tau.TEST, small_tau.TRAIN[0]))
    root = small_tau.write(tmp_path, content | lists | {"meta.csv": content["meta.csv"]})
    (deviation,) = verify(root, checked_progress).deviations
    assert "is in the training and in the test list" in deviation


def test_class_folders(tmp_path: Path) -> None:
    (tmp_path / "park").mkdir()
    write_media(tmp_path / "park" / "a.mp4", 1.0, fps=5)
    (tmp_path / "tram").mkdir()
    (tmp_path / "tram" / "b.mp4").write_bytes(b"")
    assert verify(tmp_path, checked_progress).problems == {"tram/b.mp4": "is empty (0 bytes)"}


def test_a_missing_data_set_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or directory"):
        verify(tmp_path / "gone", checked_progress)
    with pytest.raises(DataError, match="is not a data set"):
        verify(tmp_path, checked_progress)


# The command line


def test_verify_command(published: PublishedDataSet, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = run(capfd, "data", "verify", root)
    assert (done.code, done.messages) == (0, [])
    assert done.out.splitlines()[-1] == f"{root}: nothing is missing or damaged (13 files)"
    assert [line.split()[1:] for line in done.out.splitlines()[:6]] == [["whole"]] * 6
    shutil.rmtree(root / "audio")
    published.archives[4].path(root).write_bytes(b"")
    broken = run(capfd, "data", "verify", root)
    assert broken.code == 3
    lines = broken.out.splitlines()
    assert lines[4].split() == [
        published.archives[4].name,
        "damaged",
        "0",
        "bytes,",
        "not",
        str(published.archives[4].bytes),
    ]
    assert f"  audio/{small_tau.TRAIN[0]}.wav: not found" in lines
    assert lines[-2] == f"{root}: incomplete: 1 of 6 archives and 4 of 13 files are missing or damaged"
    assert lines[-1] == f"  delete the damaged files, then run: avscene data download tau-2021 --output {root}"
    assert run(capfd, "data", "verify", root / "gone").error() == f"{root / 'gone'}: no such file or directory"


def test_verify_command_shortens_lists_and_escapes_names(
    content: dict[str, bytes], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names = [f"bus-lyon-7-{number}\x9b2J" for number in range(30)]
    head = content["meta.csv"].decode().splitlines()[0]
    meta = "\n".join([head, *(f"{small_tau.row(name)}\tx" for name in names)])
    root = small_tau.write(tmp_path, {"meta.csv": meta.encode()})
    done = run(capfd, "data", "verify", root)
    assert done.code == 3
    assert "  ... and 40 more" in done.out
    assert "\x9b" not in done.out
