"""Test commands on objects: the same results as with files, one outcome for each fault, nothing secret shown."""

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fsspec.registry import _registry

import avscene
from avscene.errors import StorageError
from avscene.inference import Source
from avscene.inference.ledger import task
from avscene.inference.runs.computing import Settings
from avscene.tables.prediction_table import read_table
from tests.support.command_line import Command, Run, run
from tests.support.media_files import write_media
from tests.support.object_server import BUCKET, SECRET, ObjectServer

FOLDER = f"s3://{BUCKET}/archive/"
Classify = Callable[..., Run]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def command(here: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`avscene ARGUMENTS`, which leaves no temporary file and prints no secret."""

    def checked(*arguments: object) -> Run:
        done = run(capsys, *arguments)
        assert list((here.parent / "temporary").iterdir()) == []
        assert SECRET not in done.out + done.err
        return done

    return checked


@pytest.fixture
def classify(command: Command) -> Command:
    return partial(command, "classify", "--system", "conse", "--device", "cpu", "--precision", "float32")


@pytest.fixture
def archive(here: Path, server: ObjectServer) -> Path:
    """Files below `archive/`, and the same as objects: two recordings, a damaged file, and what is no recording."""
    folder = here / "archive"
    (folder / "deep" / "er").mkdir(parents=True)
    write_media(folder / "b.mp4", seconds=2)
    write_media(folder / "deep" / "er" / "a.mkv", seconds=1)
    (folder / "broken.mp4").write_bytes(b"\0" * 1000)
    for name in ("notes.md", ".hidden.mp4", "deep/._a.mkv"):
        (folder / name).write_bytes(b"x")
    for path in folder.rglob("*"):
        if path.is_file():
            server.put(str(path.relative_to(here)), path.read_bytes())
    server.put("archive/folder.mp4/", b"")  # what consoles make as a folder
    return folder


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def by_source(text: str) -> dict[str, dict[str, Any]]:
    return {record["source"]: record for record in records(text)}


def test_objects_have_the_results_of_the_files(classify: Classify, archive: Path, server: ObjectServer) -> None:
    remote = classify(FOLDER, "--format", "jsonl")
    local = classify("archive", "--format", "jsonl")
    assert remote.code == local.code == 3
    expected = local.out.replace('"archive/', f'"{FOLDER}').replace("archive/broken", f"{FOLDER}broken")
    expected = expected.replace(f"{FOLDER[:-8]}{FOLDER}", FOLDER)
    assert records(remote.out) == records(expected)
    assert set(by_source(remote.out)) == {f"{FOLDER}{name}" for name in ("b.mp4", "broken.mp4", "deep/er/a.mkv")}


def test_each_recording_takes_one_request_to_read(classify: Classify, archive: Path, server: ObjectServer) -> None:
    assert classify(FOLDER, "--format", "jsonl").code == 3
    names = ("archive/b.mp4", "archive/broken.mp4", "archive/deep/er/a.mkv")
    assert [server.count("GET", name) for name in names] == [1, 1, 1]
    assert [server.count("HEAD", name) for name in names] == [1, 1, 1]


def test_library_takes_urls(archive: Path, server: ObjectServer, here: Path) -> None:
    system = avscene.load("conse", device="cpu", precision="float32")
    local = system.classify(archive / "b.mp4").to_dict()
    for url in (f"{FOLDER}b.mp4", f"{server.url}/{BUCKET}/archive/b.mp4"):
        assert system.classify(url).to_dict() == local | {"source": url}
    assert system.classify((archive / "b.mp4").as_uri()).to_dict() == local
    assert system.classify(f"{FOLDER}b.mp4", audio=f"{FOLDER}b.mp4").to_dict() == local | {"source": f"{FOLDER}b.mp4"}
    with pytest.raises(StorageError, match=f"{FOLDER}none.mp4: no such object"):
        system.classify(f"{FOLDER}none.mp4")
    assert list((here.parent / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (f"s3://{BUCKET}", ["archive/b.mp4", "archive/broken.mp4", "archive/deep/er/a.mkv"]),
        (f"{FOLDER}deep/", ["archive/deep/er/a.mkv"]),
        (f"{FOLDER}*.mp4", ["archive/b.mp4", "archive/broken.mp4"]),
        (f"{FOLDER}**/a.*", ["archive/deep/er/a.mkv"]),
        (f"s3://{BUCKET}/*/b[r]*", ["archive/broken.mp4"]),
        (f"{FOLDER}b.mp4", ["archive/b.mp4"]),
    ],
)
def test_urls_name_objects(argument: str, expected: list[str], archive: Path) -> None:
    from avscene.cli.inputs import expand

    assert list(expand([argument])) == [f"s3://{BUCKET}/{name}" for name in expected]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (f"{FOLDER}none/", "no media files"),
        (f"{FOLDER}none*", "no matching object"),
        ("s3://nowhere/", "no such bucket"),
        (f"{FOLDER}none.txt", "no such object; the name of a folder of objects ends with /"),
    ],
)
def test_urls_that_name_nothing_are_failures(argument: str, message: str, archive: Path) -> None:
    from avscene.cli.inputs import expand
    from avscene.records import Failure

    (found,) = expand([argument])
    assert isinstance(found, Failure)
    assert str(found.error) == f"{argument}: {message}"


def test_an_object_may_be_called_like_a_pattern(archive: Path, server: ObjectServer) -> None:
    from avscene.cli.inputs import expand

    url = server.put("archive/[1].mp4", b"x")
    assert list(expand([url])) == [url]


def test_lists_have_urls_and_may_be_objects(classify: Classify, archive: Path, server: ObjectServer) -> None:
    lines = [f"{FOLDER}b.mp4", f"{server.url}/{BUCKET}/archive/b.mp4", (archive / "b.mp4").as_uri(), "archive/b.mp4"]
    url = server.put("list.txt", "\n".join(lines).encode())
    Path("list.txt").write_text("\n".join(lines))
    remote, local = classify(url, "--format", "jsonl"), classify("list.txt", "--format", "jsonl")
    assert remote.code == 0
    assert remote.out == local.out
    assert [record["source"] for record in records(remote.out)] == [*lines[:2], str(archive / "b.mp4"), lines[3]]


def test_a_journal_knows_objects_without_reading_them(classify: Classify, archive: Path, server: ObjectServer) -> None:
    arguments = (FOLDER, "--format", "jsonl", "--output", "out.jsonl")
    assert classify(*arguments).code == 3
    first = Path("out.jsonl").read_text()
    server.requests.clear()
    again = classify(*arguments)
    assert again.messages[-1].startswith("2 of 3 recordings done, 1 failed (1 media), 3 known from the journal")
    assert Path("out.jsonl").read_text() == first
    assert server.count("GET", "archive") == 0

    server.put("archive/b.mp4", (archive / "deep" / "er" / "a.mkv").read_bytes())
    server.requests.clear()
    classify(*arguments)
    assert server.count("GET", "archive/b.mp4") == server.count("GET", "archive") == 1
    results = by_source(Path("out.jsonl").read_text())
    assert results[f"{FOLDER}b.mp4"] == results[f"{FOLDER}deep/er/a.mkv"] | {"source": f"{FOLDER}b.mp4"}


FAULTS = {
    "refused": ("403", "access denied (HTTP 403); check the credentials in the environment"),
    "failing": ("503", "cannot be reached after 6 attempts (HTTP 503); run the same command again later"),
    "truncated": ("replaced half-way", "changed while it was read; try: run the same command again"),
    "changed": ("replaced before", "changed while it was read; try: run the same command again"),
}


def test_faults_are_failures_of_one_recording(classify: Classify, archive: Path, server: ObjectServer) -> None:
    content = (archive / "b.mp4").read_bytes()
    urls = {name: server.put(f"faults/{name}.mp4", content) for name in (*FAULTS, "passing", "slow", "good")}
    missing = f"s3://{BUCKET}/faults/missing.mp4"
    for name, (fault, _) in FAULTS.items():
        server.faults[f"faults/{name}.mp4"] = [fault, ...] if fault.isdecimal() else [fault]
    server.faults |= {"faults/passing.mp4": ["500", "cut", "reset", "dropped"], "faults/slow.mp4": ["slow"]}
    arguments = (*urls.values(), missing, "--format", "jsonl", "--output", "out.jsonl")
    done = classify(*arguments)
    assert done.code == 3
    results = by_source(Path("out.jsonl").read_text())
    good = results[urls["good"]]
    for name in ("passing", "slow"):
        assert results[urls[name]] == good | {"source": urls[name]}
    for name, (_, reason) in FAULTS.items():
        message = f"{urls[name]}: {reason}"
        assert results[urls[name]]["error"] == {"type": "storage", "message": message}
        assert message in done.messages
    assert results[missing]["error"]["message"].startswith(f"{missing}: no such object")

    # Once the faults have passed, the failures are tried again, and only they.
    server.faults.clear()
    server.put("faults/missing.mp4", content)
    for name in FAULTS:
        server.put(f"faults/{name}.mp4", content)
    server.requests.clear()
    assert classify(*arguments).code == 0
    assert server.count("GET", "faults") == len(FAULTS) + 1
    results = by_source(Path("out.jsonl").read_text())
    assert all(result == good | {"source": source} for source, result in results.items())


def test_limit_of_the_size(classify: Classify, archive: Path, server: ObjectServer) -> None:
    done = classify(f"{FOLDER}b.mp4", "--format", "jsonl", "--limit", "download=0.000001")
    assert done.code == 1
    (record,) = records(done.out)
    assert record["error"]["type"] == "media"
    assert "GiB that are read; to allow more: --limit download=NUMBER" in record["error"]["message"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_results_become_an_object(
    suffix: str, classify: Classify, archive: Path, server: ObjectServer, here: Path
) -> None:
    url = f"s3://{BUCKET}/results/scenes.{suffix}"
    done = classify("archive", "--format", suffix, "--output", url)
    assert classify("archive", "--format", suffix, "--output", f"scenes.{suffix}").code == done.code == 3
    assert server.get(f"results/scenes.{suffix}") == Path(f"scenes.{suffix}").read_bytes()
    (kept,) = (path for path in (here.parent / "data").rglob("*") if path.is_file())
    assert kept.name == f"scenes.{suffix}.journal"
    assert done.messages[-1] == f"{url}: written; its journal is {kept}"
    again = classify("archive", "--format", suffix, "--output", url)
    assert "3 known from the journal" in again.err
    assert server.get(f"results/scenes.{suffix}") == Path(f"scenes.{suffix}").read_bytes()


def test_results_of_one_file_become_an_object(classify: Classify, archive: Path, server: ObjectServer) -> None:
    url = f"s3://{BUCKET}/scenes.vtt"
    assert classify("archive/b.mp4", "--format", "vtt", "--output", url).messages == [f"{url}: written"]
    assert server.get("scenes.vtt").startswith(b"WEBVTT")


def test_an_output_is_checked_before_any_work(classify: Classify, archive: Path, server: ObjectServer) -> None:
    server.fault_uploads = True
    server.faults["scenes.json"] = ["403"]
    url = f"s3://{BUCKET}/scenes.json"
    done = classify(f"{FOLDER}b.mp4", "--format", "json", "--output", url)
    assert done.error() == f"{url}: access denied (HTTP 403); check the credentials in the environment"
    assert server.count("GET", "archive") == 0
    for output, reason in (
        (f"{server.url}/a.json", "a web server cannot be written to; give s3://, gs://, az:// or a file"),
        (f"s3://{BUCKET}/folder/", "is a folder of objects; give the name of an object"),
        (f"{FOLDER}b.mp4", "is one of the inputs; give another name for the output"),
    ):
        assert classify(f"{FOLDER}b.mp4", "--format", "json", "--output", output).error() == f"{output}: {reason}"
    assert not any(name.startswith("scenes") for name in server.names())


def test_other_outputs_take_no_urls(command: Command, here: Path) -> None:
    message = "s3://bucket/demo: URLs are not accepted here; try: a path on this machine"
    assert message in command("data", "toytown", "s3://bucket/demo").error()
    assert list(here.iterdir()) == []


def test_an_upload_is_repeated(classify: Classify, archive: Path, server: ObjectServer) -> None:
    server.fault_uploads = True
    server.faults["scenes.jsonl"] = [None, "503", "dropped", "500"]  # the first request is that of the check
    assert classify("archive", "--format", "jsonl", "--output", f"s3://{BUCKET}/scenes.jsonl").code == 3
    assert len(records(server.get("scenes.jsonl").decode())) == 3


def test_results_are_kept_if_the_upload_fails(classify: Classify, archive: Path, server: ObjectServer) -> None:
    server.fault_uploads = True
    server.faults["scenes.jsonl"] = [None, *["503"] * 6]
    url = f"s3://{BUCKET}/scenes.jsonl"
    done = classify("archive", "--format", "jsonl", "--output", url)
    assert done.code == 2
    message, _, kept = done.messages[-1].partition("; the complete results are in ")
    assert message == f"{url}: cannot be reached after 6 attempts (HTTP 503); run the same command again later"
    content = Path(kept).read_bytes()
    assert server.names().count("scenes.jsonl") == 0
    assert "3 known from the journal" in classify("archive", "--format", "jsonl", "--output", url).err
    assert server.get("scenes.jsonl") == content
    assert not Path(kept).exists()


@pytest.mark.usefixtures("no_connections")
def test_names_the_extra_that_is_missing(classify: Classify, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, scheme in (("s3fs", "s3"), ("gcsfs", "gs"), ("adlfs", "az")):
        for module in (package, f"{package}.core"):
            monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(_registry, scheme, raising=False)  # of classes imported before
        message = f"{scheme}:// needs the package {package}; run: pip install 'avscene[{scheme}]'"
        assert classify(f"{scheme}://bucket/").error(4) == message
        Path("list.txt").write_text(f"{scheme}://bucket/a.mp4\n")
        assert classify("list.txt").error(4) == message
        assert classify("list.txt", "--output", f"{scheme}://bucket/a.txt").error(4) == message


@pytest.mark.usefixtures("no_connections")
def test_no_credentials(classify: Classify, server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    done = classify(f"{FOLDER}a.mp4", "--format", "jsonl")
    (record,) = records(done.out)
    variables = "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    reason = f"no credentials in the environment; set for example {variables}"
    assert record["error"]["message"] == f"{FOLDER}a.mp4: {reason}"


def test_signatures_are_shown_nowhere(classify: Classify, archive: Path, server: ObjectServer, here: Path) -> None:
    plain = f"{server.url.replace('http://', 'http://user:' + SECRET + '@')}/{BUCKET}/archive"
    urls = [f"{plain}/{name}?id=1&X-Custom-Token={SECRET}" for name in ("b.mp4", "broken.mp4", "none.mp4")]
    Path("list.txt").write_text("\n".join(urls))
    done = classify("list.txt", "--format", "jsonl", "--output", "out.jsonl")
    assert done.code == 3
    names = [f"{server.url}/{BUCKET}/archive/{name}?id=1" for name in ("b.mp4", "broken.mp4", "none.mp4")]
    assert list(by_source(Path("out.jsonl").read_text())) == names
    assert f"{names[2]}: not found (HTTP 404)" in done.messages
    for file in here.glob("out*"):
        assert SECRET.encode() not in file.read_bytes()
    assert "2 known from the journal" in classify("list.txt", "--format", "jsonl", "--output", "out.jsonl").err


def test_predict_takes_urls_in_meta_csv(command: Command, archive: Path, server: ObjectServer) -> None:
    names = ("b.mp4", "deep/er/a.mkv")
    for table, prefix in (("local.csv", "archive/"), ("remote.csv", FOLDER)):
        rows = [f"{prefix}{name},{label}" for name, label in zip(names, ("park", "tram"), strict=True)]
        Path(table).write_text("\n".join(["path,label", *rows]))
    url = f"s3://{BUCKET}/tables/scores.tsv"
    options = ("--system", "conse", "--device", "cpu", "--precision", "float32", "--by-model")
    remote = command("predict", *options, "--data", "remote.csv", "--output", url)
    assert remote.code == 0, remote.err
    local = command("predict", *options, "--data", "local.csv", "--output", "scores.tsv")
    written = [line.removesuffix(": written") for line in local.out.splitlines()]
    assert remote.out.splitlines() == [f"s3://{BUCKET}/tables/{name}: written" for name in written]
    for name in written:
        assert server.get(f"tables/{name}").decode().replace(FOLDER, "archive/") == Path(name).read_text()
    assert read_table(Path("scores.tsv")).probabilities.shape == (3, 2)


def test_prepare_takes_urls(command: Command, archive: Path, server: ObjectServer) -> None:
    from avscene.datasets.store.reader import SegmentStore

    names = ("b.mp4", "broken.mp4", "deep/er/a.mkv")
    Path("meta.csv").write_text("\n".join(["path,label", *(f"{FOLDER}{name},{name[0]}" for name in names)]))
    done = command("prepare", "meta.csv", "--output", "store")
    assert done.code == 3
    assert f"left out: {FOLDER}broken.mp4: " in done.err
    store = SegmentStore.open(Path("store"))
    assert len(store) == 3
    assert [example.path for example in store.data.examples] == [f"{FOLDER}{names[0]}", f"{FOLDER}{names[2]}"]
    assert "0 of them decoded now" in command("prepare", "meta.csv", "--output", "store").out


def test_a_run_that_ends_does_not_wait_for_copies(archive: Path, server: ObjectServer, here: Path) -> None:
    system = avscene.load("conse", device="cpu", precision="float32")
    server.faults["archive/b.mp4"] = ["stall", ...]
    outcomes = system.classify_all([Source(f"{FOLDER}broken.mp4"), Source(f"{FOLDER}b.mp4")], workers=2)
    assert isinstance(next(outcomes), avscene.AvsceneError)
    outcomes.close()
    assert server.count("GET", "archive/b.mp4") <= 2
    assert list((here.parent / "temporary").iterdir()) == []


def test_an_actor_reports_while_it_copies(
    archive: Path, server: ObjectServer, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "REPORT_SECONDS", 0.05)
    system = avscene.load("conse", device="cpu", precision="float32")
    server.faults["archive/broken.mp4"] = ["stall", "stall"]
    reports: list[float] = []
    (here / "ledger").mkdir()
    working = task.ClassificationTask(system, Settings(workers=1), here / "ledger", lines=False)
    working.run([(0, Source(f"{FOLDER}broken.mp4"))], lambda: reports.append(time.monotonic()), threading.Event())
    assert len(reports) > 10  # in the second until the object was read at the third attempt
    assert max(after - before for before, after in itertools.pairwise(reports)) < 0.5
