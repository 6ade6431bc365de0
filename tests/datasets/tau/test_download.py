"""A data set is downloaded from a real server on loopback, verified and unpacked; a second run does what is missing."""

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.tau.archives import (
    ARCHIVES_FOLDER,
    PublishedDataSet,
    download_lock,
    format_bytes,
    published_data_sets,
)
from avscene.datasets.tau.download import DownloadPlan, download, plan_download
from avscene.errors import AvsceneError, DataError
from tests.support import small_tau
from tests.support.archive_server import ArchiveServer, zipped
from tests.support.command_line import Run, run
from tests.support.downloads import (
    ONE_ARCHIVE,
    TABLE,
    checked_progress,
    command,
    download_all,
    first_bytes,
    has_arrived,
    only_archive,
)
from tests.support.small_disk import fill


def test_download_and_read_a_data_set(server: ArchiveServer, tmp_path: Path) -> None:
    content = small_tau.files(tmp_path)
    published = server.offer(small_tau.archives(content), small_tau.PREFIX)
    root = tmp_path / "new" / "tau"
    assert download_all(published, root) == [archive.label for archive in published.archives]
    data = read_dataset(root)
    assert [example.name for example in data.examples] == [f"video/{name}.mp4" for name in small_tau.NAMES]
    assert data.values("split") == ("test", "train")
    for example in data.examples:
        assert example.audio is not None
        assert example.path.read_bytes() == content[example.name]
        assert example.audio.read_bytes() == content[f"audio/{example.audio.name}"]
    before = len(server.requests)
    assert download_all(published, root) == []
    assert len(server.requests) == before == len(published.archives)


def test_archives_that_the_user_copied_are_not_downloaded(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    small_tau.write(tmp_path, {f"{ARCHIVES_FOLDER}/{only_archive(published).name}": ONE_ARCHIVE["meta.zip"][1]})
    assert download_all(published, tmp_path) == ["meta.zip"]
    assert server.requests == []
    assert has_arrived(tmp_path)


def test_a_damaged_archive_is_downloaded_again(server: ArchiveServer, tmp_path: Path) -> None:
    published, content = server.offer(ONE_ARCHIVE), ONE_ARCHIVE["meta.zip"][1]
    small_tau.write(tmp_path, {f"{ARCHIVES_FOLDER}/{only_archive(published).name}": content[:-1] + b"x"})
    download_all(published, tmp_path)
    assert has_arrived(tmp_path)
    assert only_archive(published).path(tmp_path).read_bytes() == content


def test_deleted_files_are_unpacked_again(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    download_all(published, tmp_path)
    (tmp_path / "table.csv").unlink()
    assert download_all(published, tmp_path) == ["meta.zip"]
    assert has_arrived(tmp_path)
    assert len(server.requests) == 1


def test_discarded_archives_are_not_downloaded_again(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    download_all(published, tmp_path, discard=True)
    assert has_arrived(tmp_path)
    assert not only_archive(published).path(tmp_path).exists()
    assert download_all(published, tmp_path, discard=True) == []
    (tmp_path / "table.csv").write_bytes(b"cut")
    assert download_all(published, tmp_path, discard=True) == ["meta.zip"]
    assert has_arrived(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"md5": "0", "members": {}}', "[]"])
def test_a_damaged_record_is_ignored(server: ArchiveServer, tmp_path: Path, text: str) -> None:
    published = server.offer(ONE_ARCHIVE)
    download_all(published, tmp_path)
    only_archive(published).record_path(tmp_path).write_text(text)
    assert download_all(published, tmp_path) == ["meta.zip"]
    assert len(server.requests) == 1


def test_download_from_a_mirror(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE).model_copy(update={"source": "https://nowhere.example/"})
    download_all(published, tmp_path, source=server.url.rstrip("/"))
    assert has_arrived(tmp_path)


def test_only_one_process_downloads_into_a_directory(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    with download_lock(tmp_path), pytest.raises(DataError, match="another process is downloading into it"):
        download_all(published, tmp_path)
    assert server.requests == []
    download_all(published, tmp_path)


def test_finished_archives_are_kept_after_an_error(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE | {"doc.zip": ("documentation", zipped({"README.md": b"x"}))})
    gone = server.files.pop("TAU-x.doc.zip")
    with pytest.raises(DataError, match=r"TAU-x\.doc\.zip: answers with HTTP 404"):
        download_all(published, tmp_path)
    server.files["TAU-x.doc.zip"] = gone
    server.requests.clear()
    download_all(published, tmp_path)
    assert [name for name, _ in server.requests] == ["TAU-x.doc.zip"]


# Space


def test_space_is_checked_before_the_download(
    server: ArchiveServer, small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    published = server.offer({"audio.1.zip": ("audio", zipped({"a.wav": TABLE}))})
    size = only_archive(published).bytes
    disk = small_disk(size * 2)
    free = format_bytes(shutil.disk_usage(disk).free)
    with pytest.raises(
        DataError, match=rf"{format_bytes(size)} to download and unpack need .* has {free} free; .*--discard-archives"
    ):
        download_all(published, disk / "new" / "tau")
    assert server.requests == []
    assert not (disk / "new").exists()
    download_all(published, small_disk(int(size * 2.21)) / "tau")


def test_present_archives_need_no_space(server: ArchiveServer, small_disk: Callable[[int], Path]) -> None:
    published = server.offer({"audio.1.zip": ("audio", zipped({"a.wav": TABLE}))})
    archive = only_archive(published)
    disk = small_disk(int(archive.bytes * 2.25))
    small_tau.write(disk, {f"{ARCHIVES_FOLDER}/{archive.name}": server.files[archive.name]})
    download_all(published, disk)
    fill(disk)
    assert shutil.disk_usage(disk).free == 0
    assert download_all(published, disk) == []


def test_discarding_archives_needs_less_space() -> None:
    plans = {
        discard: plan_download(published_data_sets()["tau-2021"], "meta", Path("x"), discard=discard)
        for discard in (False, True)
    }
    whole = needed_bytes_of_all()
    assert plans[False].missing_bytes == plans[True].missing_bytes == 12_466 + 235_316
    assert 2.05 < whole[False] / 107.74e9 < 2.2
    assert whole[True] < 0.55 * whole[False]


def needed_bytes_of_all() -> dict[bool, int]:
    everything = published_data_sets()["tau-2021"].archives
    missing = sum(archive.bytes for archive in everything)
    return {
        discard: DownloadPlan(Path("x"), "", everything, everything, missing, discard).needed_bytes
        for discard in (False, True)
    }


@pytest.mark.parametrize("free", [0, 100_000])
def test_a_full_disk_is_reported_and_the_part_is_resumed(
    server: ArchiveServer, small_disk: Callable[[int], Path], free: int
) -> None:
    published = server.offer(ONE_ARCHIVE)
    disk = small_disk(10_000_000)
    plan = plan_download(published, "all", disk, discard=False)
    filler = fill(disk, leave=free)
    with pytest.raises(
        DataError,
        match=r"\.part: cannot be written \(No space left on device\); then run the same command again to continue",
    ):
        download(plan, checked_progress, lambda *_: None)
    kept = only_archive(published).part(disk).stat().st_size
    assert kept <= free
    assert (kept > 0) == (free > 0)
    filler.unlink()
    download_all(published, disk)
    assert first_bytes(server) == [0, kept]
    assert has_arrived(disk)


def test_a_file_size_limit_is_reported_on_the_command_line(server: ArchiveServer, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limits on file sizes")
    published = server.offer(ONE_ARCHIVE)

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    root = tmp_path / "tau"
    arguments = command(published, "data", "download", "tau-2021", "--output", root)
    ended = subprocess.run(arguments, check=False, preexec_fn=limit_files, capture_output=True, text=True)
    assert ended.returncode == 2
    lines = ended.stderr.splitlines()
    assert len(lines) == 2
    assert "cannot be written (File too large); then run the same command again to continue" in lines[1]
    kept = only_archive(published).part(root).stat().st_size
    assert 0 < kept <= 100_000
    download_all(published, root)
    assert first_bytes(server) == [0, kept]
    assert has_arrived(root)


def test_an_unwritable_directory_is_reported(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    (tmp_path / "file").write_text("")
    with pytest.raises(AvsceneError, match="cannot be written"):
        download_all(published, tmp_path / "file")


# The command line


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> Run:
    return run(capfd, "data", *arguments)


def test_download_command(
    published: PublishedDataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(capfd, "download", "tau-2021")
    assert done.code == 0
    assert done.messages == ["Small scenes: for non-commercial use only; its licence: https://scenes.example/1"]
    first, *each, last = done.out.splitlines()
    assert first.startswith("tau-2021: 6 archives, 0 of them already unpacked; ")
    assert each[1] == "meta.zip: verified and unpacked, 3 files"
    assert len(each) == 6
    assert last == "tau-2021: all of tau-2021 is complete; next: avscene data verify tau-2021"
    assert len(read_dataset(tmp_path / "tau-2021").examples) == 4
    again = call(capfd, "download", "tau-2021", "--subset", "examples")
    assert again.out.splitlines()[0].startswith("tau-2021: 2 archives, 2 of them already unpacked; 0 bytes to download")
    assert call(capfd, "verify", "tau-2021").code == 0


def test_download_command_reports_errors_in_one_line(
    published: PublishedDataSet, server: ArchiveServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(capfd, "download", "tau-2022").error() == "data set 'tau-2022' is not one of tau-2021"
    root = tmp_path / "tau"
    server.fault = "404"
    failed = call(capfd, "download", "tau-2021", "--output", root)
    assert failed.code == 2
    assert failed.messages[-1].endswith("doc.zip: answers with HTTP 404; try another --source")
    refused = call(capfd, "download", "tau-2021", "--source", "http://example.com", "--output", root)
    assert refused.messages[-1] == "http://example.com: refused: archives are downloaded by https"


def test_download_command_options(
    published: PublishedDataSet, server: ArchiveServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "tau"
    done = call(capfd, "download", "tau-2021", "--subset", "audio", "--output", root, "--discard-archives")
    assert done.code == 0
    assert sorted(name for name, _ in server.requests) == sorted(
        archive.name for archive in published.archives if archive.kind in ("documentation", "meta", "audio")
    )
    assert not list((root / ARCHIVES_FOLDER).glob("*.zip"))
