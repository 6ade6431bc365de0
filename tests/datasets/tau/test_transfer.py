"""Test with a real server that transfers resume after faults and that responses other than the archive are refused."""

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from avscene.datasets.tau import archives, transfer
from avscene.datasets.tau.archives import ARCHIVES_FOLDER, Archive, PublishedDataSet
from avscene.errors import DataError, UsageError
from tests.support import small_tau
from tests.support.archive_server import ArchiveServer
from tests.support.downloads import (
    ONE_ARCHIVE,
    checked_progress,
    command,
    download_all,
    first_bytes,
    has_arrived,
    only_archive,
)
from tests.support.processes import wait_until

# Failures and retries


@pytest.mark.parametrize("fault", ["cut", "short", "dropped", "503", "429"])
def test_an_interrupted_transfer_is_resumed(server: ArchiveServer, tmp_path: Path, fault: str) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.faults = [fault, fault, fault]
    download_all(published, tmp_path)
    assert has_arrived(tmp_path)
    asked = first_bytes(server)
    assert len(asked) == 4
    if fault in ("cut", "short"):
        assert asked == sorted(set(asked))  # each goes on further
        total = only_archive(published).bytes
        assert asked[3] >= total * 7 // 8 - 4


@pytest.mark.parametrize("fault", ["cut", "short", "503"])
def test_repeated_failures_end_the_download_and_keep_the_part(
    server: ArchiveServer, tmp_path: Path, fault: str
) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.fault = fault
    with pytest.raises(DataError, match=r"meta\.zip: .*run the same command again to continue"):
        download_all(published, tmp_path)
    assert len(server.requests) == len(transfer.PAUSES) + 1
    kept = archives.size_of(only_archive(published).part(tmp_path)) or 0
    server.fault, server.requests = None, []
    download_all(published, tmp_path)
    assert first_bytes(server) == [kept]
    assert (kept > 0) == (fault != "503")
    assert has_arrived(tmp_path)


def test_a_server_that_never_answers_is_retried_less_often(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.fault = "dropped"
    with pytest.raises(DataError, match="the connection broke off"):
        download_all(published, tmp_path)
    assert len(server.requests) == transfer.RETRIES_WITHOUT_ANSWER + 1
    nobody = published.model_copy(update={"source": "http://127.0.0.1:9/"})
    with pytest.raises(DataError, match="cannot be reached"):
        download_all(nobody, tmp_path)


def test_a_stalled_transfer_is_resumed(server: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", httpx.Timeout(None, read=0.5))
    published = server.offer(ONE_ARCHIVE)
    server.faults = ["stall"]
    download_all(published, tmp_path)
    assert first_bytes(server) == [0, only_archive(published).bytes // 2]
    assert has_arrived(tmp_path)


def test_pauses_grow_and_follow_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transfer, "PAUSES", (1, 2, 4))
    monkeypatch.setattr(transfer.time, "sleep", slept.append)
    archive = Archive(kind="meta", name="x.meta.zip", bytes=10, md5="")
    for failures, error in [(1, 0), (3, 0), (1, 30), (2, 10**9), (0, 0)]:
        transfer._wait(transfer._TransferError("HTTP 503", error), failures, archive, checked_progress, 0)
    assert slept == [1, 4, 30, transfer.LONGEST_PAUSE, 1]


def test_a_server_without_ranges_sends_from_the_start(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.faults = ["cut", "no ranges"]
    download_all(published, tmp_path)
    assert first_bytes(server) == [0, only_archive(published).bytes // 2]
    assert has_arrived(tmp_path)


def test_a_killed_download_is_resumed(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.faults = ["stall"]
    root, half = tmp_path / "tau", only_archive(published).bytes // 2
    part = only_archive(published).part(root)
    arguments = command(published, "data", "download", "tau-2021", "--output", root)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: server.stalled.is_set() and (archives.size_of(part) or 0) > 0, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = part.stat().st_size
    assert 0 < kept <= half
    download_all(published, root)
    assert first_bytes(server) == [0, kept]
    assert has_arrived(root)


# Wrong responses and damage


def start_with_half(published: PublishedDataSet, directory: Path) -> bytes:
    """Write the first half of the only archive, as an interrupted download leaves it; return it."""
    half = ONE_ARCHIVE["meta.zip"][1][: only_archive(published).bytes // 2]
    small_tau.write(directory, {f"{ARCHIVES_FOLDER}/{only_archive(published).name}.part": half})
    return half


@pytest.mark.parametrize("fault", ["other range", "other total", "no content range"])
def test_an_answer_with_other_bytes_is_refused(server: ArchiveServer, tmp_path: Path, fault: str) -> None:
    published = server.offer(ONE_ARCHIVE)
    half = start_with_half(published, tmp_path)
    server.fault = fault
    with pytest.raises(DataError, match=f"refused: bytes {len(half)}-.* were requested"):
        download_all(published, tmp_path)
    assert only_archive(published).part(tmp_path).read_bytes() == half
    assert len(server.requests) == 1


REFUSED = {
    "login": "sends a web page, not an archive",
    "gzip": "in another encoding",
    "promises more": r"refused: it offers \d+ bytes where \d+ of the published ones are missing",
    "endless": r"refused: it goes on after the \d+ bytes that were published",
    "404": "answers with HTTP 404; try another --source",
    "403": "answers with HTTP 403",
    "unasked 206": "answers with HTTP 206",
    "circle": "in a circle",
}


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("fault", REFUSED)
def test_an_answer_that_is_not_the_archive_is_refused(
    server: ArchiveServer, tmp_path: Path, fault: str, begun: bool
) -> None:
    if begun and fault == "unasked 206":
        pytest.skip("a range is asked for then")
    published = server.offer(ONE_ARCHIVE)
    half = start_with_half(published, tmp_path) if begun else b""
    server.fault = fault
    with pytest.raises(DataError, match=REFUSED[fault]) as caught:
        download_all(published, tmp_path)
    assert "\n" not in str(caught.value)
    assert server.url in str(caught.value)
    part = only_archive(published).part(tmp_path)
    assert (archives.size_of(part) or 0) <= only_archive(published).bytes
    if fault != "endless":
        assert (part.read_bytes() if part.exists() else b"") == half
    assert not only_archive(published).path(tmp_path).exists()
    assert not (tmp_path / "table.csv").exists()
    server.fault = None
    download_all(published, tmp_path)
    assert has_arrived(tmp_path)


def test_unencrypted_sources_are_refused(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.fault = "to http"
    with pytest.raises(UsageError, match=r"http://192\.0\.2\.1/.*: refused: archives are downloaded by https"):
        download_all(published, tmp_path)
    for source in ("http://example.com/", "ftp://example.com", "file:///etc/", "nonsense", "http://127.0.0.1.example/"):
        with pytest.raises(UsageError, match="refused: archives are downloaded by https"):
            download_all(published, tmp_path, source=source)
    with pytest.raises(UsageError, match="is not a URL"):
        download_all(published, tmp_path, source="https://[::/")


def test_messages_show_no_passwords() -> None:
    url = httpx.URL("https://user:secret@mirror.example/a.zip?ticket=secret#secret")
    assert transfer.without_secrets(url) == "https://mirror.example/a.zip"


def test_a_damaged_transfer_is_repeated_once(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.faults = ["changed"]
    download_all(published, tmp_path)
    assert first_bytes(server) == [0, 0]
    assert has_arrived(tmp_path)


def test_repeated_damage_is_reported_and_nothing_is_kept(server: ArchiveServer, tmp_path: Path) -> None:
    published = server.offer(ONE_ARCHIVE)
    server.fault = "changed"
    with pytest.raises(DataError, match=f"is damaged: its MD5 was not {only_archive(published).md5}, twice"):
        download_all(published, tmp_path)
    assert len(server.requests) == 2
    assert [path.name for path in (tmp_path / ARCHIVES_FOLDER).iterdir()] == [".lock"]


@pytest.mark.parametrize("size", [1000, 10**6, None])
def test_a_part_of_another_file_is_replaced(server: ArchiveServer, tmp_path: Path, size: int | None) -> None:
    published = server.offer(ONE_ARCHIVE)
    size = only_archive(published).bytes if size is None else size
    small_tau.write(tmp_path, {f"{ARCHIVES_FOLDER}/{only_archive(published).name}.part": bytes(size)})
    download_all(published, tmp_path)
    assert has_arrived(tmp_path)
