"""Test which programme of a transport stream is read: the same audio and video as ffmpeg maps for its number."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import avscene
from avscene.errors import MediaError
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from avscene.media.workers import IsolatedRecording
from avscene.tables.prediction_table import read_table
from tests.support.command_line import run
from tests.support.ffmpeg_program import ffmpeg
from tests.support.media_files import write_media, write_photograph
from tests.support.processes import ROOT

RATE = 44100
LARGE, SMALL = "testsrc2=size=160x96:rate=10:duration=4", "testsrc2=size=64x48:rate=10:duration=4"
PLAIN = "color=red:size=64x48:rate=10:duration=4"
TONES = ("sine=400:duration=4", "sine=900:duration=4,pan=stereo|c0=c0|c1=c0")
NEWS, FILMS = "program_num=1:title=News:st=0:st=2", "program_num=2:title=Films:st=1:st=3"
FAST = ROOT / "tests" / "golden" / "written_before" / "fast"  # scores audio and video


def write_programmes(
    path: Path, videos: Sequence[str], programmes: Sequence[str] = (NEWS, FILMS), *options: str
) -> Path:
    """Write streams 0 and 1 of video, mono audio (2), and stereo (3), which ffmpeg would prefer by itself."""
    inputs = [argument for source in (*videos, *TONES) for argument in ("-f", "lavfi", "-i", source)]
    maps = [argument for number in range(4) for argument in ("-map", str(number))]
    numbers = [argument for programme in programmes for argument in ("-program", programme)]
    bit_rates = ("-b:v:0", "400k", "-b:v:1", "400k", "-b:a:0", "64k", "-b:a:1", "192k")
    ffmpeg(*inputs, *maps, "-c:v", "mpeg2video", "-c:a", "mp2", *bit_rates, *numbers, *options, path)
    return path


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with programmes 1 (160 x 96, mono) and 2 (64 x 48, stereo)."""
    return write_programmes(tmp_path_factory.mktemp("programmes") / "both.ts", (LARGE, SMALL))


@pytest.fixture(scope="module")
def films(both: Path) -> Path:
    """The streams of programme 2 alone, as ffmpeg copies them."""
    path = both.with_name("films.ts")
    ffmpeg("-i", both, "-map", "0:p:2", "-c", "copy", path)
    return path


@pytest.mark.parametrize("videos", [(LARGE, PLAIN), (PLAIN, LARGE)])
def test_audio_is_that_of_the_programme_of_the_video(tmp_path: Path, videos: tuple[str, str]) -> None:
    with Recording(write_programmes(tmp_path / "a.ts", videos)) as recording:
        segments = list(recording.segments(Sampling(sample_rate=RATE, frame_size=48)))
    shows_pattern = segments[1].frames[0].pixels.std(axis=(0, 1)).max() > 20
    tone = 400 if videos[0] == (LARGE if shows_pattern else PLAIN) else 900
    waveform = segments[1].waveform
    assert waveform is not None
    assert np.abs(np.fft.rfft(waveform)).argmax() == pytest.approx(tone, abs=3)


def test_video_is_not_read_with_the_audio_of_another_programme(tmp_path: Path) -> None:
    path = write_programmes(
        tmp_path / "a.ts", (LARGE, SMALL), ("program_num=1:st=0:st=1", "program_num=5:title=Radio:st=2:st=3")
    )
    with Recording(path) as recording:
        assert (recording.has_audio, recording.has_video) == (False, True)
        assert recording.warnings[0] == "has programmes 1 (Service01), 5 (Radio); read 1; another: --program 5"
    with Recording(path, program=5) as recording:
        assert (recording.has_audio, recording.has_video) == (True, False)
        assert recording.warnings == ("2 audio streams: took #3 (2 channels)",)


@pytest.mark.parametrize(("number", "width", "height"), [(1, 160, 96), (2, 64, 48)])
def test_reads_the_frames_and_the_audio_that_ffmpeg_maps(both: Path, number: int, width: int, height: int) -> None:
    with Recording(both, program=number) as recording:
        segments = list(recording.segments(Sampling(sample_rate=RATE, frame_size=height)))
        assert recording.warnings == ()
    raw = ffmpeg("-i", both, "-map", f"0:p:{number}:v", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    # Frame k begins at 0.01 + k / 10 s: audio begins that much earlier.
    assert [segment.frames[0].time for segment in segments] == pytest.approx([0.41, 1.41, 2.41, 3.41], abs=0.01)
    assert all(np.array_equal(s.frames[0].pixels, frames[4 + 10 * k]) for k, s in enumerate(segments))
    raw = ffmpeg("-i", both, "-map", f"0:p:{number}:a", "-f", "f32le", "-")
    wanted = np.frombuffer(raw, np.float32).reshape(-1, number).mean(axis=1)  # programme 1 is mono, 2 stereo
    found = np.concatenate([segment.waveform for segment in segments if segment.waveform is not None])
    assert np.abs(found[: 3 * RATE] - wanted[: 3 * RATE]).max() < 1e-3


def test_the_warning_names_the_programmes(both: Path) -> None:
    with Recording(both) as recording:
        assert recording.warnings == ("has programmes 1 (News), 2 (Films); read 1; another: --program 2",)


def test_commands_and_python_classify_the_programme_that_is_asked_for(
    both: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system = avscene.load(FAST, device="cpu", precision="float32")
    wanted = system.classify(films)
    assert wanted.modalities == {"audio": True, "video": True}
    found = system.classify(both, program=2)
    np.testing.assert_allclose(found.probabilities, wanted.probabilities, atol=1e-6)
    assert np.abs(system.classify(both).probabilities - wanted.probabilities).max() > 1e-3
    options = ("--system", FAST, "--device", "cpu", "--precision", "float32", "--program", "2")
    result = json.loads(run(capsys, "classify", both, *options, "--format", "json").out)
    assert result["warnings"] == list(wanted.warnings)
    rows = [list(segment["scores"].values()) for segment in result["segments"]]
    np.testing.assert_allclose(rows, [segment.probabilities for segment in wanted.segments], atol=1e-4)
    folder = tmp_path / wanted.labels.names[0]
    folder.mkdir()
    (folder / "both.ts").symlink_to(both)
    table = tmp_path / "table.tsv"
    assert run(capsys, "predict", "--data", tmp_path, *options, "--output", table).code == 0
    rows = read_table(table).probabilities
    np.testing.assert_allclose(rows, [segment.probabilities for segment in wanted.segments], atol=1e-4)


def test_a_number_that_the_file_lacks_is_an_error_that_names_those_it_has(both: Path) -> None:
    message = r"both\.ts: has no programme 3, only 1 \(News\), 2 \(Films\); try: --program 1$"
    with pytest.raises(MediaError, match=message):
        avscene.load("conse").classify(both, program=3)


def test_a_file_without_programmes_is_an_error(tmp_path: Path) -> None:
    paths = [
        write_media(tmp_path / "a.mp4", 1.0),
        write_photograph(tmp_path / "a.png", np.zeros((48, 64, 3), np.uint8)),
    ]
    for path in paths:
        message = rf"{path}: has no programmes; try: without --program 1$"
        with pytest.raises(MediaError, match=message), IsolatedRecording(path, program=1):
            pass


def test_one_programme_gives_no_warning_and_has_its_number(films: Path) -> None:
    with Recording(films) as recording:
        assert recording.warnings == ()
        assert (recording.has_audio, recording.has_video) == (True, True)


def test_names_are_shown_in_one_line_and_cannot_pass_for_programmes(tmp_path: Path) -> None:
    path = write_programmes(
        tmp_path / "a.ts", (LARGE, SMALL), ("program_num=1:title=a\x1b[2J\n  Program 7 \n:st=0:st=2", FILMS)
    )
    with Recording(path) as recording:
        assert recording.warnings == ("has programmes 1 (a [2J), 2 (Films); read 1; another: --program 2",)


def test_programmes_that_share_their_video_have_their_own_audio(tmp_path: Path) -> None:
    path = write_programmes(tmp_path / "a.ts", (LARGE, SMALL), ("program_num=1:st=0:st=2", "program_num=2:st=0:st=3"))
    tones = []
    for number in (1, 2):
        with Recording(path, program=number) as recording:
            waveform = list(recording.segments(Sampling(sample_rate=RATE, frame_size=48)))[1].waveform
            assert waveform is not None
            tones.append(int(np.abs(np.fft.rfft(waveform)).argmax()))
    assert tones == pytest.approx([400, 900], abs=3)
