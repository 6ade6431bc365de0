"""Test `avscene classify` with real files, the real decoder, the weights of `conse`, and small CLIPs on a local hub.

Most tests call `main` in this process, so that torch is imported once; tests of signals and imports
start a process.
"""

import csv
import io
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import avscene
from avscene.cli.output.files import TextOutput
from avscene.errors import UsageError
from avscene.labels import TAU_SCENES
from avscene.tables.prediction_table import read_table
from tests.support.command_line import Command, Run, run
from tests.support.hub_server import HubServer, use_hub
from tests.support.media_files import corner_frame, write_media, write_photograph
from tests.support.small_clip import RN50X4, RN101, VIT, save_small_clip

REPOS = {"C01": RN101, "C02": RN50X4, "C03": VIT}
FORMATS = ("table", "json", "jsonl", "csv", "tsv", "vtt", "srt", "audacity")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def command(here: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """`avscene ARGUMENTS`."""

    return partial(run, capsys)


@pytest.fixture
def classify(command: Command) -> Command:
    """`avscene classify ARGUMENTS`, with `conse` unless a system is given."""

    def run(*arguments: object, system: str = "conse") -> Run:
        return command("classify", "--system", system, *arguments)

    return run


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    write_media(folder / "recording.mp4", 3.0)
    write_media(folder / "without_audio.mp4", 2.0, audio=False)
    write_media(folder / "without_video.wav", 2.0)
    write_photograph(folder / "photograph.png", corner_frame())
    whole = (folder / "recording.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no recording\n" * 100)
    (folder / "nothing.wav").write_bytes((folder / "without_video.wav").read_bytes()[:44])
    return folder


@pytest.fixture
def recording(media: Path, here: Path) -> str:
    shutil.copy(media / "recording.mp4", here)
    return "recording.mp4"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- formats ---


def test_json_has_the_documented_keys_and_equals_the_python_api(classify: Command, recording: str, here: Path) -> None:
    found = classify(recording, "--format", "json")
    assert (found.code, found.err) == (0, "")
    content = json.loads(found.out)
    assert list(content) == [
        *("schema", "source", "duration", "system", "labels", "modalities"),
        *("scene", "score", "scores", "mismatch", "familiarity", "segments", "warnings"),
    ]
    assert content["schema"] == "avscene/1"
    assert (content["source"], content["system"], content["warnings"]) == (recording, "conse", [])
    assert content["labels"] == list(TAU_SCENES)
    assert content["modalities"] == {"audio": True, "video": True}
    assert content["duration"] == pytest.approx(3, abs=0.1)
    assert [(s["start"], s["end"]) for s in content["segments"]] == [(0, 1), (1, 2), (2, 3)]
    for part in (content, *content["segments"]):
        assert list(part["scores"]) == content["labels"]
        assert sum(part["scores"].values()) == pytest.approx(1, abs=1e-5)
        assert part["score"] == part["scores"][part["scene"]] == max(part["scores"].values())
    for segment in content["segments"]:
        parts = ["start", "end", "scene", "score", "scores", "mismatch", "familiarity", "by_model"]
        assert list(segment) == parts
        assert segment["by_model"] == {"conse": segment["scores"]}

    assert content["mismatch"] is None  # the system scores video only
    assert content == avscene.load("conse").classify(recording).to_dict()
    line = classify(recording, "--format", "jsonl")
    assert line.out.count("\n") == 1
    assert json.loads(line.out) == content


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_the_same_on_stdout_and_in_a_file(
    classify: Command, recording: str, here: Path, form: str
) -> None:
    printed = classify(recording, "--format", form)
    written = classify(recording, "--format", form, "--output", "deep/er/out")
    assert (printed.code, printed.err, written.code, written.out, written.err) == (0, "", 0, "", "")
    mark = BYTE_ORDER_MARK if form == "csv" else b""
    assert (here / "deep/er/out").read_bytes() == mark + printed.out.encode()
    assert names(here / "deep/er") == ["out"]
    assert stat.S_IMODE((here / "deep/er/out").stat().st_mode) == 0o644


def test_every_format_has_the_predicted_scenes(classify: Command, recording: str, here: Path) -> None:
    content = avscene.load("conse").classify(recording).to_dict()
    scenes = [segment["scene"] for segment in content["segments"]]
    out = {form: classify(recording, "--format", form).out for form in FORMATS}
    for form, delimiter in (("csv", ","), ("tsv", "\t")):
        rows = list(csv.DictReader(io.StringIO(out[form]), delimiter=delimiter))
        assert [row["scene_label"] for row in rows] == scenes
        assert [float(row["start"]) for row in rows] == [0, 1, 2]
        assert [float(rows[1][name]) for name in TAU_SCENES] == pytest.approx(
            list(content["segments"][1]["scores"].values()), abs=1e-6
        )
    assert out["vtt"].startswith("WEBVTT\n\n00:00:00.000 --> ")
    assert out["srt"].startswith("1\n00:00:00,000 --> ")
    labels = [line.split("\t") for line in out["audacity"].splitlines()]
    assert (labels[0][0], labels[-1][1]) == ("0.000000", "3.000000")
    for text in (out["vtt"], out["srt"], out["audacity"], out["table"]):
        assert all(scene in text for scene in scenes)
    assert out["table"].splitlines()[0].startswith(f"recording.mp4  0:03  {content['scene']} {content['score']:.0%}")
    assert "\x1b" not in out["table"]


def test_several_inputs_make_one_output(classify: Command, recording: str, media: Path) -> None:
    without_audio = str(media / "without_audio.mp4")
    content = json.loads(classify(recording, without_audio, "--format", "json").out)
    assert [one["source"] for one in content] == [recording, without_audio]
    lines = classify(without_audio, recording, "--format", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == content[::-1]
    assert classify(recording, without_audio, "--format", "csv", "--output", "t.csv").code == 0
    table = read_table("t.csv")
    assert table.filenames == (recording,) * 3 + (without_audio,) * 2
    assert classify(recording, without_audio).out.count("(conse, from video)") == 2


def test_subtitles_of_several_files_are_written_to_a_folder(
    classify: Command, recording: str, media: Path, here: Path
) -> None:
    (here / "out").mkdir()
    assert classify(recording, media / "without_audio.mp4", "--format", "srt", "--output", "out").code == 0
    assert names(here / "out") == ["avscene.journal", "recording.mp4.srt", "without_audio.mp4.srt"]
    assert classify(recording, "--format", "audacity", "--output", "out").code == 0
    assert (here / "out/recording.mp4.txt").read_text().startswith("0.000000\t")


def test_files_of_one_name_do_not_overwrite_each_others_subtitles(
    classify: Command, recording: str, here: Path
) -> None:
    (here / "out").mkdir()
    (here / "a").mkdir()
    shutil.copy(recording, "a")
    found = classify(recording, "a/recording.mp4", "--format", "vtt", "--output", "out")
    assert found.code == 2
    assert found.messages == [
        "recording.mp4 and a/recording.mp4 would both be written to out/recording.mp4.vtt; name them in separate runs"
    ]
    assert names(here / "out") == []


def test_options_reach_the_system(classify: Command, recording: str) -> None:
    found = classify(
        recording, "--format", "json", "--hop", "0.5", "--labels", "kitchen, living room", "--precision", "float32"
    )
    content = json.loads(found.out)
    assert content["labels"] == ["kitchen", "living room"]
    assert [segment["start"] for segment in content["segments"]] == [0, 0.5, 1, 1.5, 2, 2.5]
    exact, fast = (classify(recording, "--format", "csv", "--frames", frames).out for frames in ("exact", "keyframes"))
    assert len(exact.splitlines()) == len(fast.splitlines()) == 4


# --- inputs ---

ODD = ["with space.mp4", "ünï-映画.mp4", "-dash.mp4", "[brackets]*.mp4", "new\nline.mp4", os.fsdecode(b"\xff.mp4")]


def test_unusual_file_names_are_classified(classify: Command, recording: str) -> None:
    for name in ODD:
        Path(name).symlink_to(recording)
    lines = classify("--format", "jsonl", "--", *ODD).out.splitlines()
    assert [json.loads(line)["source"] for line in lines] == ODD
    found = classify("--", *ODD)  # the table has one headline for each, whatever the name
    assert found.code == 0
    assert "new\\nline.mp4  0:03" in found.out
    assert classify("--format", "csv", "--output", "t.csv", "--", *ODD).code == 0
    with Path("t.csv").open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        found_names = [row["filename"] for row in csv.DictReader(file)][::3]
    assert found_names == [f"./{name}" if name.startswith("-") else name for name in ODD]  # no formula in a spreadsheet


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_any_text_is_printed_in_any_terminal_encoding(
    recording: str, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, errors="strict"))
    with TextOutput(None) as sink:
        sink.write(os.fsdecode(b"\xff") + " 映 ████ ü\n")
    assert raw.getvalue().endswith(b"\n")
    if encoding == "utf-8":
        assert raw.getvalue() == b"\xff" + " 映 ████ ü\n".encode()


def test_folders_globs_and_lists_are_expanded(
    classify: Command, media: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("f/b.mp4", "f/deep/er/a.MP4", "f/._b.mp4"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(media / "without_audio.mp4", name)
    Path("f/notes.txt").write_text("f/b.mp4\n\nf/deep/er/a.MP4\n")
    both = ["f/b.mp4", "f/deep/er/a.MP4"]

    def sources(*arguments: str) -> list[str]:
        found = classify(*arguments, "--format", "jsonl")
        assert found.code == 0
        return [json.loads(line)["source"] for line in found.out.splitlines()]

    assert sources("f") == both
    assert sources("f/*.mp4", "f/**/*.MP4") == both
    assert sources("f/notes.txt") == both
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"f/deep/er/a.MP4\r\nf/b.mp4")))
    assert sources("-") == both[::-1]


# --- modalities ---


@pytest.mark.parametrize(
    ("name", "has", "headline", "segments"),
    [
        ("recording.mp4", {"audio": True, "video": True}, "(conse, from video)", 3),
        ("without_audio.mp4", {"audio": False, "video": True}, "(conse, from video)", 2),
        ("photograph.png", {"audio": False, "video": True}, "(conse, from video)", 1),
    ],
)
def test_the_output_names_the_modalities_of_a_recording(
    classify: Command, media: Path, name: str, has: dict[str, bool], headline: str, segments: int
) -> None:
    content = json.loads(classify(media / name, "--format", "json").out)
    assert content["modalities"] == has
    assert len(content["segments"]) == segments
    assert headline in classify(media / name).out


def test_a_trained_system_warns_of_a_missing_modality(
    command: Command, classify: Command, media: Path, here: Path
) -> None:
    """Train `fast` on few recordings and classify files without audio or without video."""
    for scene in ("tram", "park"):
        (here / "data" / scene).mkdir(parents=True)
        for group in range(2):
            for number in range(2):
                shutil.copy(media / "recording.mp4", here / "data" / scene / f"{group}-{number}.mp4")
    assert command("train", "fast", "--data", "data", "--output", "mine").code == 0
    paths = [media / name for name in ("recording.mp4", "without_audio.mp4", "without_video.wav", "photograph.png")]
    found = classify(*paths, "--format", "jsonl", system="mine")
    _, summary = found.messages
    assert found.code == 0
    assert summary.startswith("4 of 4 recordings done, 0 failed; ")
    whole, without_audio, without_video, photograph = (json.loads(line) for line in found.out.splitlines())
    assert whole["labels"] == ["park", "tram"]
    both = set(whole["segments"][0]["by_model"])
    assert len(both) == 2
    assert whole["warnings"] == []
    (warning,) = without_audio["warnings"]
    assert warning.startswith("no audio track: model ")
    assert photograph["warnings"] == [warning]
    (warning,) = without_video["warnings"]
    assert warning.startswith("no video track: model ")
    assert set(without_audio["segments"][0]["by_model"]) | set(without_video["segments"][0]["by_model"]) == both
    assert "note: no audio track: model" in classify(paths[1], system="mine").out

    for arguments, reason in (
        (["--labels", "a,b"], "was trained on the scenes park, tram; fix: omit --labels"),
        (["--prompt", "{}"], "takes no prompts"),
    ):
        refused = classify(paths[0], *arguments, system="mine")
        assert refused.code == 2
        assert reason in refused.messages[0]
    Path("mine/model.safetensors").write_bytes(b"other")
    refused = classify(paths[0], system="mine")
    assert refused.code == 2
    assert "was changed after it was written" in refused.messages[0]


# --- failures ---


def test_audio_alone_is_an_error_for_a_video_system(classify: Command, media: Path) -> None:
    path = media / "without_video.wav"
    found = classify(path, "--format", "json")
    assert found.code == 1
    message = f"{path}: has audio only; system conse needs video"
    assert found.messages == [message]
    assert json.loads(found.out) == {
        "schema": "avscene/1",
        "source": str(path),
        "error": {"type": "modality", "message": message},
    }


BAD = {
    "empty.mp4": "is empty (0 bytes)",
    "truncated.mp4": "is truncated",
    "text.mp4": "is not a media file",
    "nothing.wav": "",
    "gone.mp4": "not found",
    "no folder/gone.mp4": "not found",
    "folder": "no media files in this folder",
    "*.mkv": "no matching file",
    "list.txt": "the list has no paths",
    "lost\nline.mp4": "not found",
    "x" * 300 + ".mp4": "cannot be opened (file name too long)",
}


def bad_files(media: Path) -> list[str]:
    for name in BAD:
        if len(name) < 100 and (media / name).exists():
            shutil.copy(media / name, name)
    Path("folder").mkdir()
    Path("list.txt").touch()
    return list(BAD)


def test_each_bad_input_gets_a_message_and_a_record_and_the_others_are_classified(
    classify: Command, media: Path, recording: str, here: Path
) -> None:
    bad = bad_files(media)
    found = classify(*bad, recording, "--format", "jsonl", "--output", "out.jsonl")
    assert found.code == 3
    *messages, _, summary = found.messages
    assert len(messages) == len(bad)
    assert summary.startswith(f"1 of {len(bad) + 1} recordings done, {len(bad)} failed ({len(bad)} media); ")
    *failures, good = (json.loads(line) for line in Path("out.jsonl").read_text().splitlines())
    assert good == avscene.load("conse").classify(recording).to_dict()
    for failure, message, (source, reason) in zip(failures, messages, BAD.items(), strict=True):
        assert list(failure) == ["schema", "source", "error"]
        assert (failure["schema"], failure["source"]) == ("avscene/1", source)
        assert failure["error"]["type"] == "media"
        assert failure["error"]["message"].startswith(f"{source}: ")
        assert reason in failure["error"]["message"]
        assert message == failure["error"]["message"].replace("\n", "\\n")
    assert not [name for name in names(here) if name.startswith(".")]


@pytest.mark.parametrize("form", FORMATS)
def test_exit_codes_distinguish_all_some_and_no_failures(
    classify: Command, recording: str, media: Path, form: str
) -> None:
    Path("out").mkdir()
    target = ["--output", "out"] if form in ("vtt", "srt", "audacity") else []
    empty = media / "empty.mp4"
    assert classify(recording, recording, "--format", form, *target).code == 0
    some = classify(empty, recording, "gone.mp4", "--format", form, *target, "--overwrite")
    none = classify(empty, "gone.mp4", "--format", form, *target, "--overwrite")
    assert (some.code, none.code) == (3, 1)
    assert [len(some.messages), len(none.messages)] == [4, 3]  # the last are the scenes and the summary
    if form == "json":
        assert [("error" in one) for one in json.loads(some.out)] == [True, False, True]
        assert all("error" in one for one in json.loads(none.out))
    if form in ("csv", "tsv"):
        assert [some.out.count("filename"), none.out.count("filename")] == [1, 1]
        assert len(some.out.splitlines()) == 1 + 2 + 3  # two failures, three segments


# --- usage ---

USAGE = [
    ([], "PATH...: is missing; try: avscene classify --help"),
    (["recording.mp4", "--labels", "a,b,a"], "label 'a' is given twice"),
    (["recording.mp4", "--labels", "a,,b"], "label 2 of 3 is empty"),
    (["recording.mp4", "--labels", "park"], "at least two scenes"),
    (["recording.mp4", "--labels", ""], "label 1 of 1 is empty"),
    (["recording.mp4", "--system", "embeded"], "did you mean embedded? try: avscene systems"),
    (["recording.mp4", "--system", "folder"], "folder: is a directory but not a checkpoint"),
    (
        ["recording.mp4", "--format", "xml"],
        "--format 'xml' is not one of table, json, jsonl, csv, tsv, parquet, html, vtt, srt, audacity",
    ),
    (["recording.mp4", "--frames", "few"], "--frames 'few' is not one of exact, keyframes"),
    (["recording.mp4", "--device", "tpu"], "device 'tpu' is not one of auto, cpu, cuda"),
    (["recording.mp4", "--precision", "int8"], "precision 'int8' is not one of auto, float32, bfloat16"),
    (["recording.mp4", "--hop", "0"], "is not a number of seconds of 0.02 or more"),
    (["recording.mp4", "--hop", "-1"], "is not a number of seconds of 0.02 or more"),
    (["recording.mp4", "--hop", "nan"], "is not a number of seconds of 0.02 or more"),
    (["recording.mp4", "--hop", "soon"], "--hop"),
    (["recording.mp4", "--prompt", "a {}"], "system conse takes no prompts"),
    (["recording.mp4", "--system", "C03", "--prompt", "a photo"], "must contain {} once"),
    (["recording.mp4", "--nope"], "--nope"),
    (
        ["recording.mp4", "recording.mp4", "--format", "vtt"],
        "old.json: has the suffix of json, but --format is vtt; try: --output old.vtt",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[" ".join(a) or "nothing" for a, _ in USAGE])
def test_wrong_usage_is_one_line_and_writes_nothing(
    classify: Command, recording: str, here: Path, arguments: list[str], message: str
) -> None:
    Path("folder").mkdir()
    Path("old.json").write_text("kept")
    found = classify(*arguments, "--output", "old.json", "--overwrite")
    assert found.code == 2
    assert found.out == ""
    (line,) = found.messages
    assert message in line
    assert names(here) == ["folder", "old.json", "recording.mp4"]
    assert Path("old.json").read_text() == "kept"


def test_cuda_without_a_gpu_is_an_error(classify: Command, recording: str) -> None:
    import torch

    if torch.cuda.is_available():
        assert classify(recording, "--device", "cuda").code == 0
    else:
        found = classify(recording, "--device", "cuda")
        assert found.code == 2
        assert "torch sees no GPU here" in found.messages[0]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("folder", "folder: is a folder; give the name of a file"),
        ("recording.mp4/below/out", "cannot be written (Not a directory)"),
        ("/proc/out", "cannot be written"),
        ("o" * 300, "cannot be written (File name too long)"),
        ("/dev/full", "/dev/full: cannot be written (No space left on device)"),
    ],
)
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_an_output_that_cannot_be_written_is_an_error(
    classify: Command, recording: str, here: Path, output: str, message: str, form: str
) -> None:
    Path("folder").mkdir()
    found = classify(recording, recording, "--format", form, "--output", output)
    assert found.code == 2
    assert message in found.messages[0]
    assert names(here) == ["folder", "recording.mp4"]


def test_a_read_only_folder_is_an_error(here: Path) -> None:
    here.chmod(0o555)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(UsageError, match=r"out: cannot be written \(Permission denied\)"):
            TextOutput(Path("out"))
    finally:
        os.seteuid(before)
        here.chmod(0o755)
    assert names(here) == []


def test_an_existing_output_is_replaced_at_the_end(classify: Command, recording: str, here: Path) -> None:
    Path("real.jsonl").write_text("old")
    Path("link.jsonl").symlink_to("real.jsonl")
    refused = classify(recording, "--format", "jsonl", "--output", "link.jsonl")
    assert "already exists; try: --overwrite" in refused.error()
    assert classify(recording, "--format", "jsonl", "--output", "link.jsonl", "--overwrite").code == 0
    assert Path("link.jsonl").is_symlink()
    assert json.loads(Path("real.jsonl").read_text())["source"] == recording
    assert classify(recording, "--output", os.devnull).code == 0
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert names(here) == ["link.jsonl", "real.jsonl", "recording.mp4"]


@pytest.mark.parametrize(
    ("error", "texts", "kept"),
    [
        (None, ["a\n", "b\n"], "a\nb\n"),
        (KeyboardInterrupt, ["a\n"], "old"),
        (RuntimeError, ["a\n"], "old"),
    ],
)
def test_only_a_complete_output_replaces_the_one_before(
    here: Path, error: type[BaseException] | None, texts: list[str], kept: str
) -> None:
    Path("out").write_text("old")

    def write() -> None:
        with TextOutput(Path("out")) as sink:
            for text in texts:
                sink.write(text)
                assert Path("out").read_text() == "old"  # until all is done
            if error is not None:
                raise error

    if error is None:
        write()
    else:
        with pytest.raises(error):
            write()
    assert Path("out").read_text() == kept
    assert names(here) == ["out"]


# --- CLIP, from a hub on loopback ---


@pytest.fixture(scope="session")
def small_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    kinds = {"C01": "resnet", "C02": "resnet", "C03": "vit"}
    return {name: save_small_clip(folder / name, kind, seed) for seed, (name, kind) in enumerate(kinds.items())}


@pytest.fixture
def hub(small_clips: dict[str, Path]) -> Iterator[HubServer]:
    with HubServer() as running:
        for name, repo_id in REPOS.items():
            running.add(repo_id, small_clips[name])
        yield running


@pytest.fixture
def hub_here(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    use_hub(hub, tmp_path / "hub", monkeypatch)
    return hub


def test_clip_systems_use_their_prompts(classify: Command, hub_here: HubServer, recording: str) -> None:
    options = ("--labels", "kitchen,wood,street", "--precision", "float32", "--format", "json")

    def scores(system: str, *prompts: str) -> list[float]:
        found = classify(
            recording, *options, *(part for prompt in prompts for part in ("--prompt", prompt)), system=system
        )
        assert (found.code, found.messages) == (0, [])
        content = json.loads(found.out)
        assert (content["system"], content["labels"]) == (system, ["kitchen", "wood", "street"])
        return list(content["scores"].values())

    plain = {name: scores(name) for name in REPOS}
    assert len({tuple(values) for values in plain.values()}) == 3
    assert scores("C03", "raw") == scores("C03", "{}") == plain["C03"]
    templates, own = scores("C03", "templates"), scores("C03", "a blurry view of a {}.")
    assert len({tuple(values) for values in (plain["C03"], templates, own)}) == 3
    assert scores("C03", "raw", "templates") not in (plain["C03"], templates)
    twice = scores("C03", "{}", "a blurry view of a {}.")
    assert twice not in (plain["C03"], own)
    python = avscene.load("C03", labels=("kitchen", "wood", "street"), prompts=("templates",), precision="float32")
    assert list(python.classify(recording).scores.values()) == templates

    hub_here.stop()
    found = classify(recording, *options, "--offline", system="C03")
    assert list(json.loads(found.out)["scores"].values()) == plain["C03"]


def test_missing_weights_are_exit_code_4(classify: Command, hub_here: HubServer, recording: str, here: Path) -> None:
    found = classify(recording, "--offline", "--format", "json", "--output", "o.json", system="C03")
    assert (found.code, found.out) == (4, "")
    assert f"{REPOS['C03']}: " in found.messages[0]
    assert "run once without --offline" in found.messages[0]
    assert not hub_here.requests
    hub_here.stop()
    found = classify(recording, system="C01")
    assert found.code == 4
    assert "set HF_ENDPOINT to a mirror" in found.messages[0]
    assert names(here) == ["recording.mp4"]


def test_the_default_system_is_the_best_available_and_a_change_is_reported(
    command: Command, recording: str, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def system(*options: str) -> tuple[str, list[str]]:
        found = command("classify", recording, "--format", "json", *options)
        assert found.code == 0, found.err
        return json.loads(found.out)["system"], found.messages

    chosen, messages = system()
    assert chosen == "conse"
    assert len(messages) == 1
    assert messages[0].startswith("system conse: ")
    assert "(select another with --system)" in messages[0]

    use_hub(hub, tmp_path / "hub", monkeypatch)
    chosen, messages = system()
    assert chosen == "C02"  # of least published log loss
    assert messages[0].startswith("system C02: ")
    assert messages[1:] == [
        "the default system was conse in the last run and is C02 now; use --system conse to keep it"
    ]

    hub.stop()
    chosen, messages = system("--offline")
    assert chosen == "C02"
    assert len(messages) == 1  # only a change is reported


# --- in a separate process ---

LIGHT = """
import sys
import avscene
assert set(avscene.__all__) <= set(dir(avscene)) | set(avscene._PUBLIC)
from avscene.cli.main import main
sys.argv = ["avscene", "--help"]
try:
    main()
except SystemExit as left:
    assert left.code == 0, left.code
heavy = {"torch", "numpy", "av", "scipy", "timm", "open_clip", "pydantic", "yaml", "huggingface_hub", "rich", "plotly"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


def test_without_a_command_the_help_is_printed(command: Command) -> None:
    found = command()
    assert found.code == 2
    assert found.err.startswith("Usage: avscene [OPTIONS] COMMAND")
    found = command("clasify")
    assert found.code == 2
    assert found.messages == ["'clasify': no such command; did you mean classify? try: avscene --help"]


def test_help_imports_no_heavy_library(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: avscene [OPTIONS] COMMAND" in done.stdout
    assert "classify" in done.stdout
