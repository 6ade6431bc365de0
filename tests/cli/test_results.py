"""Test where `classify` writes, and in which format: suffixes, contradictions, folders, rows, and lists of JSON."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from avscene.cli.output.results import choose_format
from tests.support.command_line import Command, run
from tests.support.media_files import write_media

SYSTEM = ("--system", "conse", "--labels", "kitchen,street,forest")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_media(tmp_path_factory.mktemp("media") / "a.mp4", 1.0)


@pytest.fixture
def here(tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.mp4", "one/b.mp4", "two/c.mp4", "two/d.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(recording, tmp_path / name)
    Path("list.txt").write_text("a.mp4\n")
    return tmp_path


@pytest.fixture
def classify(here: Path, capfd: pytest.CaptureFixture[str]) -> Command:
    return partial(run, capfd, "classify", *SYSTEM)


BEGINNINGS = {
    "csv": b"\xef\xbb\xbffilename,",
    "tsv": b"filename\t",
    "json": b"{",
    "jsonl": b'{"schema"',
    "ndjson": b'{"schema"',
    "parquet": b"PAR1",
    "html": b"<!DOCTYPE html>",
    "htm": b"<!DOCTYPE html>",
    "vtt": b"WEBVTT",
    "srt": b"1\n00:00:00,000",
    "txt": b"a.mp4  0:01  ",
}


def test_the_suffix_is_the_format_and_folders_are_made(classify: Command) -> None:
    for suffix, beginning in BEGINNINGS.items():
        path = Path("new", suffix, f"scenes.{suffix}")
        assert classify("a.mp4", "--output", path).code == 0
        assert path.read_bytes().startswith(beginning), suffix
        assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert classify("a.mp4", "--output", "BIG.CSV").code == 0
    assert Path("BIG.CSV").read_bytes().startswith(BEGINNINGS["csv"])


def test_several_recordings_have_their_subtitles_in_a_new_folder(classify: Command) -> None:
    assert classify("one", "two", "--format", "vtt", "--output", "new/subtitles").code == 0
    names = ["avscene.journal", "b.mp4.vtt", "c.mp4.vtt", "d.mp4.vtt"]
    assert sorted(path.name for path in Path("new/subtitles").iterdir()) == names
    assert classify("a.mp4", "--format", "srt", "--output", "other/").code == 0
    assert [path.name for path in Path("other").iterdir()] == ["a.mp4.srt"]


REFUSED = [
    (
        ("a.mp4", "--format", "json", "--output", "scenes.csv"),
        "scenes.csv: has the suffix of csv, but --format is json; try: --output scenes.json, or without --format",
    ),
    (
        ("a.mp4", "--format", "jsonl", "--output", "x/s.json"),
        "x/s.json: has the suffix of json, but --format is jsonl; try: --output x/s.jsonl, or without --format",
    ),
    (
        ("a.mp4", "--format", "audacity", "--output", "scenes.srt"),
        "scenes.srt: has the suffix of srt, but --format is audacity; try: --output scenes.txt, or without --format",
    ),
    (
        ("a.mp4", "--output", "scenes.xlsx"),
        "scenes.xlsx: no format has the suffix .xlsx; try: one of .json, .jsonl, .ndjson, .csv, .tsv, .parquet, .html, "
        ".htm, .vtt, .srt, or --format",
    ),
    (("a.mp4", "--format", "html"), "--format html needs --output FILE"),
    (("two", "--output", "scenes.vtt"), "--format vtt of 2 files needs --output FOLDER"),
    (("two", "--format", "vtt"), "--format vtt of 2 files needs --output FOLDER"),
    (("two", "--output", "one"), "one: is a folder; give the name of a file, or --format vtt, srt or audacity"),
    (
        ("two", "--format", "csv", "--output", "new/"),
        "new: is a folder; give the name of a file, or --format vtt, srt or audacity",
    ),
    (
        ("a.mp4", "--rows", "spans", "--output", "scenes.json"),
        "--rows spans: is for csv, tsv, parquet, not for json; try: --format csv",
    ),
    (("a.mp4", "--rows", "frames", "--format", "csv"), "--rows 'frames' is not one of segments, spans, recordings"),
    (("two", "--journal", "a.journal"), "--journal needs --output FILE"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_contradictions_are_one_line_and_write_nothing(
    classify: Command, here: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = sorted(here.rglob("*"))
    assert classify(*arguments).error().removesuffix("; try: avscene classify --help") == message
    assert sorted(here.rglob("*")) == before


def test_a_device_has_no_suffix() -> None:
    assert choose_format(None, Path("/dev/null")) == "table"
    assert choose_format("csv", Path("/dev/stdout")) == "csv"


@pytest.mark.parametrize(
    ("arguments", "is_list"),
    [
        (("a.mp4",), False),
        (("gone.mp4",), False),
        (("one",), True),
        (("one/*.mp4",), True),
        (("none/*.mp4",), True),
        (("list.txt",), True),
        (("a.mp4", "a.mp4"), True),
    ],
)
def test_json_is_an_object_only_for_one_file_that_is_named(
    classify: Command, arguments: tuple[str, ...], is_list: bool
) -> None:
    printed = json.loads(classify(*arguments, "--format", "json").out)
    assert isinstance(printed, list) is is_list
    found = printed if is_list else [printed]
    assert all(one["schema"] == "avscene/1" for one in found)
    assert classify(*arguments, "--output", "scenes.json").code in (0, 1)
    assert json.loads(Path("scenes.json").read_text()) == printed


def test_the_journal_of_a_run_gives_other_formats(classify: Command) -> None:
    assert classify("two", "--output", "scenes.jsonl").code == 0
    for path in Path("two").iterdir():  # read again, they would fail; the state is kept
        state = path.stat()
        path.write_bytes(bytes(state.st_size))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    for name in ("scenes.csv", "scenes.html", "scenes.parquet", "scenes.json"):
        done = classify("two", "--output", name, "--journal", "scenes.jsonl.journal")
        assert done.code == 0
        assert "2 known from the journal" in done.messages[-1]
        assert done.messages[-1].endswith(f"; written to {name}")
    lines = [json.loads(line) for line in Path("scenes.jsonl").read_text().splitlines()]
    assert json.loads(Path("scenes.json").read_text()) == lines
    assert Path("scenes.html").read_text().count("data-states=") == 2  # without thumbnails


def test_the_default_scenes_are_named(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = run(capfd, "classify", "a.mp4", "--system", "conse")
    (message,) = done.notices
    assert message == (
        "scenes: the ten of TAU Urban Audio-Visual Scenes, the default of conse (airport, bus, metro, metro_station, "
        "park, public_square, shopping_mall, street_pedestrian, street_traffic, tram); others: --labels NAME,NAME,..."
    )
    assert ", unsure  (conse, from video)" in done.out  # of ten scenes, none has half
    assert run(capfd, "classify", "a.mp4", *SYSTEM).notices == []
