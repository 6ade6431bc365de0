"""Archives are fetched from a real server on loopback that breaks off, lies and damages; what arrives is what was
published, or nothing is."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from avscene.datasets.layout import read_dataset
from avscene.datasets.tau import archives, transfer
from avscene.datasets.tau import layout as tau
from avscene.datasets.tau.archives import SHELF, Archive, Collection, Kind, claimed, collections, readable
from avscene.datasets.tau.download import download, plan
from avscene.errors import AvsceneError, DataError, UsageError
from tests.support import small_tau
from tests.support.archive_server import ArchiveServer, zipped
from tests.support.command_line import Run, run

FACTS = Path(__file__).parents[4] / "shared" / "tau_urban_av_scenes_2021.json"
Fetch = Callable[..., list[str]]

LARGE = os.urandom(300_000)  # does not shrink: several reads, however they fall
ONE: dict[str, tuple[Kind, bytes]] = {"meta.zip": ("meta", zipped({"table.csv": LARGE}))}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PAUSES", (0,) * len(transfer.PAUSES))


@pytest.fixture
def host() -> Iterator[ArchiveServer]:
    with ArchiveServer() as server:
        yield server


def silent(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total


def fetch(published: Collection, directory: Path, subset: str = "all", **options: object) -> list[str]:
    """The labels of the archives that were unpacked."""
    done: list[str] = []
    made = plan(published, subset, directory, **({"discard": False} | options))  # type: ignore[arg-type]
    download(made, silent, lambda archive, _: done.append(archive.label))
    return done


def only(published: Collection) -> Archive:
    (archive,) = published.archives
    return archive


def arrived(published: Collection, directory: Path) -> bool:
    """Whether the large file is there as it was published, and nothing is left of its way."""
    left = [path.name for path in directory.rglob("*") if path.name.endswith(".part")]
    return (directory / "table.csv").read_bytes() == LARGE and not left


def begins(host: ArchiveServer) -> list[int]:
    """From which byte each request asked."""
    return [int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0 for _, asked in host.requests]


# What goes well


def test_a_data_set_is_fetched_and_read(host: ArchiveServer, tmp_path: Path) -> None:
    content = small_tau.files(tmp_path)
    published = host.offer(small_tau.archives(content), small_tau.PREFIX)
    root = tmp_path / "new" / "tau"
    assert fetch(published, root) == [archive.label for archive in published.archives]
    data = read_dataset(root)
    assert [example.name for example in data.examples] == [f"video/{name}.mp4" for name in small_tau.NAMES]
    assert data.values("split") == ("test", "train")
    for example in data.examples:
        assert example.audio is not None
        assert example.path.read_bytes() == content[example.name]
        assert example.audio.read_bytes() == content[f"audio/{example.audio.name}"]
    before = len(host.requests)
    assert fetch(published, root) == []
    assert len(host.requests) == before == len(published.archives)


def test_subsets(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(small_tau.archives(small_tau.tables() | {"audio/a.wav": b"a", "video/a.mp4": b"a"}))
    kinds = {name: [archive.label for archive in published.subset(name)] for name in archives.SUBSETS}
    assert kinds == {
        "examples": ["doc.zip", "examples.zip"],
        "meta": ["doc.zip", "meta.zip"],
        "audio": ["doc.zip", "meta.zip", "audio.1.zip", "audio.2.zip"],
        "video": ["doc.zip", "meta.zip", "video.1.zip"],
        "all": ["doc.zip", "meta.zip", "examples.zip", "audio.1.zip", "audio.2.zip", "video.1.zip"],
    }
    assert fetch(published, tmp_path, "meta") == kinds["meta"]
    assert fetch(published, tmp_path, "audio") == ["audio.1.zip", "audio.2.zip"]
    with pytest.raises(UsageError, match="--subset 'sound' is not one of examples, meta, audio, video, all"):
        published.subset("sound")
    with pytest.raises(UsageError, match="has no audio"):
        host.offer(ONE).subset("audio")


def test_archives_that_the_user_brought_are_not_fetched(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    small_tau.write(tmp_path, {f"{SHELF}/{only(published).name}": ONE["meta.zip"][1]})
    assert fetch(published, tmp_path) == ["meta.zip"]
    assert host.requests == []
    assert arrived(published, tmp_path)


def test_a_damaged_archive_in_its_place_is_fetched_anew(host: ArchiveServer, tmp_path: Path) -> None:
    published, content = host.offer(ONE), ONE["meta.zip"][1]
    small_tau.write(tmp_path, {f"{SHELF}/{only(published).name}": content[:-1] + b"x"})
    fetch(published, tmp_path)
    assert arrived(published, tmp_path)
    assert only(published).path(tmp_path).read_bytes() == content


def test_what_was_deleted_is_unpacked_again(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    fetch(published, tmp_path)
    (tmp_path / "table.csv").unlink()
    assert fetch(published, tmp_path) == ["meta.zip"]
    assert arrived(published, tmp_path)
    assert len(host.requests) == 1


def test_discarded_archives_are_not_missed(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    fetch(published, tmp_path, discard=True)
    assert arrived(published, tmp_path)
    assert not only(published).path(tmp_path).exists()
    assert fetch(published, tmp_path, discard=True) == []
    (tmp_path / "table.csv").write_bytes(b"cut")
    assert fetch(published, tmp_path, discard=True) == ["meta.zip"]
    assert arrived(published, tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"md5": "0", "members": {}}', "[]"])
def test_a_torn_record_counts_for_nothing(host: ArchiveServer, tmp_path: Path, text: str) -> None:
    published = host.offer(ONE)
    fetch(published, tmp_path)
    only(published).record_path(tmp_path).write_text(text)
    assert fetch(published, tmp_path) == ["meta.zip"]
    assert len(host.requests) == 1


def test_a_mirror(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE).model_copy(update={"source": "https://nowhere.example/"})
    fetch(published, tmp_path, source=host.url.rstrip("/"))
    assert arrived(published, tmp_path)


# Breaking off


@pytest.mark.parametrize("fault", ["cut", "short", "dropped", "503", "429"])
def test_a_transfer_that_breaks_off_is_resumed(host: ArchiveServer, tmp_path: Path, fault: str) -> None:
    published = host.offer(ONE)
    host.faults = [fault, fault, fault]
    fetch(published, tmp_path)
    assert arrived(published, tmp_path)
    asked = begins(host)
    assert len(asked) == 4
    if fault in ("cut", "short"):
        assert asked == sorted(set(asked))  # each goes on further
        total = only(published).bytes
        assert asked[3] >= total * 7 // 8 - 4


@pytest.mark.parametrize("fault", ["cut", "short", "503"])
def test_a_server_that_always_breaks_off_is_given_up_and_its_part_kept(
    host: ArchiveServer, tmp_path: Path, fault: str
) -> None:
    published = host.offer(ONE)
    host.fault = fault
    with pytest.raises(DataError, match=r"meta\.zip: .*run again: it goes on where it stopped"):
        fetch(published, tmp_path)
    assert len(host.requests) == len(transfer.PAUSES) + 1
    kept = archives.size_of(only(published).part(tmp_path)) or 0
    host.fault, host.requests = None, []
    fetch(published, tmp_path)
    assert begins(host) == [kept]
    assert (kept > 0) == (fault != "503")
    assert arrived(published, tmp_path)


def test_a_server_that_never_answers_is_given_up_soon(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    host.fault = "dropped"
    with pytest.raises(DataError, match="the connection broke off"):
        fetch(published, tmp_path)
    assert len(host.requests) == transfer.UNHEARD + 1
    nobody = published.model_copy(update={"source": "http://127.0.0.1:9/"})
    with pytest.raises(DataError, match="cannot be reached"):
        fetch(nobody, tmp_path)


def test_a_server_that_falls_silent_is_asked_again(
    host: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", 0.5)
    published = host.offer(ONE)
    host.faults = ["stall"]
    fetch(published, tmp_path)
    assert begins(host) == [0, only(published).bytes // 2]
    assert arrived(published, tmp_path)


def test_pauses_grow_and_follow_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(transfer, "PAUSES", (1, 2, 4))
    monkeypatch.setattr(transfer.time, "sleep", slept.append)
    archive = Archive(kind="meta", name="x.meta.zip", bytes=10, md5="")
    for failures, error in [(1, 0), (3, 0), (1, 30), (2, 10**9), (0, 0)]:
        transfer._wait(transfer._BrokenError("HTTP 503", error), failures, archive, silent, 0)
    assert slept == [1, 4, 30, transfer.LONGEST_PAUSE, 1]


def test_a_server_without_ranges_starts_over(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    host.faults = ["cut", "no ranges"]
    fetch(published, tmp_path)
    assert begins(host) == [0, only(published).bytes // 2]
    assert arrived(published, tmp_path)


KILLED = """
import sys
from avscene.datasets.tau import archives
from avscene.datasets.tau import transfer
from avscene.cli.main import main
values = archives.Collection.model_validate_json(sys.argv.pop())
archives.collections = lambda: {"tau-2021": values}
main()
"""


def start(published: Collection, *arguments: object, **options: object) -> "subprocess.Popen[bytes]":
    """`avscene ARGUMENTS` in a process of its own, for which `published` is tau-2021."""
    command = [sys.executable, "-c", KILLED, *map(str, arguments), published.model_dump_json()]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


def test_killed_and_started_again(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    host.faults = ["stall"]
    root, half = tmp_path / "tau", only(published).bytes // 2
    process = start(published, "data", "download", "tau-2021", "--output", root)
    try:
        deadline = time.monotonic() + 60
        while not host.requests or (archives.size_of(only(published).part(root)) or 0) == 0:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(0.2)  # until the half is written, as far as it is
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    kept = only(published).part(root).stat().st_size
    assert 0 < kept <= half
    fetch(published, root)
    assert begins(host) == [0, kept]
    assert arrived(published, root)


def test_two_at_once_are_one_too_many(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    with claimed(tmp_path), pytest.raises(DataError, match="another process is fetching into it"):
        fetch(published, tmp_path)
    assert host.requests == []
    fetch(published, tmp_path)


# Lies and damage


def half_there(published: Collection, directory: Path) -> bytes:
    """Begin with the first half of the only archive; returns it."""
    half = ONE["meta.zip"][1][: only(published).bytes // 2]
    small_tau.write(directory, {f"{SHELF}/{only(published).name}.part": half})
    return half


@pytest.mark.parametrize("fault", ["other range", "other total", "no content range"])
def test_an_answer_for_other_bytes_is_refused(host: ArchiveServer, tmp_path: Path, fault: str) -> None:
    published = host.offer(ONE)
    half = half_there(published, tmp_path)
    host.fault = fault
    with pytest.raises(DataError, match=f"was asked for bytes {len(half)}-.* refused"):
        fetch(published, tmp_path)
    assert only(published).part(tmp_path).read_bytes() == half
    assert len(host.requests) == 1


REFUSED = {
    "login": "sends a web page, not an archive",
    "gzip": "in another encoding",
    "promises more": r"is refused: it offers \d+ bytes where \d+ of those that were published are missing",
    "endless": r"is refused: it goes on after the \d+ bytes that were published",
    "404": "answers with HTTP 404; try another --source",
    "403": "answers with HTTP 403",
    "unasked 206": "answers with HTTP 206",
    "circle": "in a circle",
}


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_the_archive_is_refused(host: ArchiveServer, tmp_path: Path, fault: str, begun: bool) -> None:
    if begun and fault == "unasked 206":
        pytest.skip("it is asked for then")
    published = host.offer(ONE)
    half = half_there(published, tmp_path) if begun else b""
    host.fault = fault
    with pytest.raises(DataError, match=REFUSED[fault]) as caught:
        fetch(published, tmp_path)
    assert "\n" not in str(caught.value)
    assert host.url in str(caught.value)
    part = only(published).part(tmp_path)
    assert (archives.size_of(part) or 0) <= only(published).bytes
    if fault != "endless":
        assert (part.read_bytes() if part.exists() else b"") == half
    assert not only(published).path(tmp_path).exists()
    assert not (tmp_path / "table.csv").exists()
    host.fault = None
    fetch(published, tmp_path)
    assert arrived(published, tmp_path)


def test_nothing_is_fetched_unencrypted(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    host.fault = "to http"
    with pytest.raises(UsageError, match=r"http://192\.0\.2\.1/.*: is refused: archives are fetched by https"):
        fetch(published, tmp_path)
    for source in ("http://example.com/", "ftp://example.com", "file:///etc/", "nonsense", "http://127.0.0.1.example/"):
        with pytest.raises(UsageError, match="is refused: archives are fetched by https"):
            fetch(published, tmp_path, source=source)
    with pytest.raises(UsageError, match="is not a URL"):
        fetch(published, tmp_path, source="https://[::/")


def test_passwords_are_not_shown() -> None:
    import httpx

    url = httpx.URL("https://user:secret@mirror.example/a.zip?ticket=secret#secret")
    assert transfer.shown(url) == "https://mirror.example/a.zip"


def test_damage_on_the_way_is_mended_once(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    host.faults = ["changed"]
    fetch(published, tmp_path)
    assert begins(host) == [0, 0]
    assert arrived(published, tmp_path)


def test_damage_that_stays_is_told_and_nothing_is_kept(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    host.fault = "changed"
    with pytest.raises(DataError, match=f"is damaged: its MD5 was not {only(published).md5}, twice"):
        fetch(published, tmp_path)
    assert len(host.requests) == 2
    assert [path.name for path in (tmp_path / SHELF).iterdir()] == [".lock"]


@pytest.mark.parametrize("size", [1000, 10**6, None])
def test_a_part_of_something_else_is_replaced(host: ArchiveServer, tmp_path: Path, size: int | None) -> None:
    published = host.offer(ONE)
    size = only(published).bytes if size is None else size
    small_tau.write(tmp_path, {f"{SHELF}/{only(published).name}.part": bytes(size)})
    fetch(published, tmp_path)
    assert arrived(published, tmp_path)


def test_what_was_finished_stays(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE | {"doc.zip": ("documentation", zipped({"README.md": b"x"}))})
    gone = host.files.pop("TAU-x.doc.zip")
    with pytest.raises(DataError, match=r"TAU-x\.doc\.zip: answers with HTTP 404"):
        fetch(published, tmp_path)
    host.files["TAU-x.doc.zip"] = gone
    host.requests.clear()
    fetch(published, tmp_path)
    assert [name for name, _ in host.requests] == ["TAU-x.doc.zip"]


# Space

Usage = namedtuple("Usage", "total used free")


def test_space_is_looked_at_first(host: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = host.offer({"audio.1.zip": ("audio", zipped({"a.wav": LARGE}))})
    size = only(published).bytes
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, size * 2))
    message = rf"{readable(size)} to fetch and unpack need .* has {readable(size * 2)} free; .*--discard-archives"
    with pytest.raises(DataError, match=message):
        fetch(published, tmp_path / "new" / "tau")
    assert host.requests == []
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, int(size * 2.21)))
    fetch(published, tmp_path / "tau")


def test_what_is_there_needs_no_space(host: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = host.offer({"audio.1.zip": ("audio", zipped({"a.wav": LARGE}))})
    size = only(published).bytes
    small_tau.write(tmp_path, {f"{SHELF}/{only(published).name}": host.files[only(published).name]})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, int(size * 1.25)))
    fetch(published, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 0))
    assert fetch(published, tmp_path) == []


def test_discarding_needs_less() -> None:
    made = {discard: plan(collections()["tau-2021"], "meta", Path("x"), discard=discard) for discard in (False, True)}
    whole = plan_of_all()
    assert made[False].missing == made[True].missing == 12_466 + 235_316
    assert 2.05 < whole[False] / 107.74e9 < 2.2
    assert whole[True] < 0.55 * whole[False]


def plan_of_all() -> dict[bool, int]:
    from avscene.datasets.tau.download import Plan

    everything = collections()["tau-2021"].archives
    missing = sum(archive.bytes for archive in everything)
    return {discard: Plan(Path("x"), "", everything, everything, missing, discard).needed for discard in (False, True)}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_told(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    (tmp_path / SHELF).mkdir()
    only(published).part(tmp_path).symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"\.part: cannot be written \(No space left on device\)"):
        fetch(published, tmp_path)


def test_a_disk_that_fills_up_keeps_what_was_fetched(host: ArchiveServer, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="no limits on files here")
    published = host.offer(ONE)

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    root = tmp_path / "tau"
    process = start(published, "data", "download", "tau-2021", "--output", root, preexec_fn=little_room)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    told = err.decode().splitlines()
    assert len(told) == 2
    assert "cannot be written (File too large); then run again: it goes on" in told[1]
    kept = only(published).part(root).stat().st_size
    assert 0 < kept <= 100_000
    fetch(published, root)
    assert begins(host) == [0, kept]
    assert arrived(published, root)


def test_a_directory_that_cannot_be_written_is_told(host: ArchiveServer, tmp_path: Path) -> None:
    published = host.offer(ONE)
    (tmp_path / "file").write_text("")
    with pytest.raises(AvsceneError, match="cannot be written"):
        fetch(published, tmp_path / "file")


# The published list


def test_the_published_archives() -> None:
    development, evaluation = collections()["tau-2021"], collections()["tau-2021-evaluation"]
    assert [len(published.archives) for published in (development, evaluation)] == [27, 16]
    assert round(sum(archive.bytes for archive in development.archives) / 1e9, 2) == 107.74
    assert round(sum(archive.bytes for archive in evaluation.archives) / 1e9, 2) == 61.25
    every = [*development.archives, *evaluation.archives]
    assert len({archive.name for archive in every}) == len({archive.md5 for archive in every}) == len(every)
    assert all(len(archive.md5) == 32 and int(archive.md5, 16) for archive in every)
    assert all(published.source.startswith("https://zenodo.org/") for published in collections().values())
    assert archives.owner(evaluation.archives[3].name) == "tau-2021-evaluation"


@pytest.mark.skipif(not FACTS.is_file(), reason="no ../shared with the data set's facts")
def test_the_published_archives_are_those_of_the_facts() -> None:
    facts = json.loads(FACTS.read_text())
    for name, ours in (("development", "tau-2021"), ("evaluation", "tau-2021-evaluation")):
        listed = [archive.model_dump() for archive in collections()[ours].archives]
        assert listed == facts[name]["files"]
        assert collections()[ours].source == facts[name]["source"]


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (12_466, "12.5 kB"), (107_738_000_000, "107.7 GB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert readable(size) == text


# At the door


@pytest.fixture
def published(host: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    """The small data set, in the place of the real one."""
    made = host.offer(small_tau.archives(small_tau.files(tmp_path)), small_tau.PREFIX)
    monkeypatch.setattr(archives, "collections", lambda: {"tau-2021": made})
    monkeypatch.setattr(tau, "PUBLISHED", small_tau.PUBLISHED)
    return made


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> Run:
    return run(capfd, "data", *arguments)


def test_download_says_what_it_does(
    published: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(capfd, "download", "tau-2021")
    assert done.code == 0
    assert done.told == ["Small scenes: for non-commercial use only; its licence: https://scenes.example/1"]
    first, *each, last = done.out.splitlines()
    assert first.startswith("tau-2021: 6 archives, 0 of them already unpacked; ")
    assert each[1] == "meta.zip: verified and unpacked, 3 files"
    assert len(each) == 6
    assert last == "tau-2021: all of tau-2021 is complete; next: avscene data verify tau-2021"
    assert len(read_dataset(tmp_path / "tau-2021").examples) == 4
    again = call(capfd, "download", "tau-2021", "--subset", "examples")
    assert again.out.splitlines()[0].startswith("tau-2021: 2 archives, 2 of them already unpacked; 0 bytes to download")
    assert call(capfd, "verify", "tau-2021").code == 0


def test_download_refuses_in_one_line(
    published: Collection, host: ArchiveServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call(capfd, "download", "tau-2022").refused() == "data set 'tau-2022' is not one of tau-2021"
    root = tmp_path / "tau"
    host.fault = "404"
    failed = call(capfd, "download", "tau-2021", "--output", root)
    assert failed.code == 2
    assert failed.told[-1].endswith("doc.zip: answers with HTTP 404; try another --source")
    refused = call(capfd, "download", "tau-2021", "--source", "http://example.com", "--output", root)
    assert refused.told[-1] == "http://example.com: is refused: archives are fetched by https"


def test_options_reach_the_download(
    published: Collection, host: ArchiveServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "tau"
    done = call(capfd, "download", "tau-2021", "--subset", "audio", "--output", root, "--discard-archives")
    assert done.code == 0
    assert sorted(name for name, _ in host.requests) == sorted(
        archive.name for archive in published.archives if archive.kind in ("documentation", "meta", "audio")
    )
    assert not list((root / SHELF).glob("*.zip"))
