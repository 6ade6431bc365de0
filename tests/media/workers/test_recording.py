"""Test recordings that worker processes decode: the same segments as in this process, and errors instead of crashes."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from avscene.errors import MediaError
from avscene.media.limits import Limits
from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from avscene.media.workers import IsolatedRecording, process
from avscene.records import Segment
from tests.support import faulty_worker
from tests.support.media_files import Writer, corner_frame, damage, plain_frame, tone_samples, write_media
from tests.support.media_files import write_photograph as photograph
from tests.support.processes import ROOT

SAMPLINGS = (
    Sampling(1.0, 16000, 32),
    Sampling(0.7, 44100, 20, frames_per_segment=3),
    Sampling(1.0, None, 32, keyframes_only=True),
)
SHORT = Limits(stall=2.0, memory=0.5)
MEDIA = Path(__file__).parents[4] / "shared" / "media"


def read(
    kind: Callable[..., Recording | IsolatedRecording], path: Path, sampling: Sampling
) -> tuple[list[Segment], object]:
    try:
        with kind(path) as recording:
            segments = list(recording.segments(sampling))
            return segments, (recording.duration, recording.has_audio, recording.has_video, recording.warnings)
    except MediaError as error:
        return [], str(error)


def assert_same(path: Path, sampling: Sampling) -> None:
    here, facts = read(Recording, path, sampling)
    there, facts_there = read(IsolatedRecording, path, sampling)
    assert facts_there == facts
    assert len(there) == len(here)
    for one, other in zip(here, there, strict=True):
        assert (one.start, one.end, one.padded) == (other.start, other.end, other.padded)
        assert (one.waveform is None) == (other.waveform is None)
        if one.waveform is not None and other.waveform is not None:
            np.testing.assert_array_equal(one.waveform, other.waveform)
        assert [frame.time for frame in one.frames] == [frame.time for frame in other.frames]
        for frame, sent in zip(one.frames, other.frames, strict=True):
            np.testing.assert_array_equal(frame.pixels, sent.pixels)
    assert shared(here) == shared(there)


def shared(segments: list[Segment]) -> list[int]:
    """For each frame, the position of the first one that is the same object: networks score it once."""
    frames = [id(frame.pixels) for segment in segments for frame in segment.frames]
    return [frames.index(frame) for frame in frames]


def odd_files(folder: Path) -> Iterator[Path]:
    yield write_media(folder / "both.mp4", 3.3, fps=10)
    yield Writer(folder / "slow.mkv").video([plain_frame(k) for k in range(3)], [0, 2, 4], fps=1).save()
    yield write_media(folder / "audio.m4a", 2.6, video=False)
    yield photograph(folder / "photo.jpg", corner_frame())
    yield Writer(folder / "late.mkv").video([plain_frame(k) for k in range(3)], [1.5, 2.5, 3.5], fps=1).save()
    yield Writer(folder / "two.mkv").audio(tone_samples(2.0)).audio(tone_samples(2.0), default=False).save()
    damaged = write_media(folder / "damaged.mp4", 4.0, fps=10)
    damage(damaged)
    yield damaged
    (folder / "text.mp4").write_text("not a video")
    yield folder / "text.mp4"
    yield folder / "absent.mp4"


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_segments_are_those_of_this_process(tmp_path: Path, sampling: Sampling) -> None:
    for path in odd_files(tmp_path):
        assert_same(path, sampling)


@pytest.mark.skipif(not MEDIA.is_dir(), reason="needs ../shared/media")
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_segments_of_real_files_are_those_of_this_process(sampling: Sampling) -> None:
    files = [path for path in sorted(MEDIA.rglob("*")) if path.is_file() and path.stat().st_size < 400_000][::4]
    assert len(files) > 10
    for path in files:
        assert_same(path, sampling)


@pytest.fixture
def _faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    process._idle.close()
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-P", faulty_worker.__file__))
    yield
    process._idle.close()


FAULTS = {
    "crash": "the decoder crashed (signal 11)",
    "abort": "the decoder crashed (signal 6)",
    "hang": "the decoder made no progress for 2 s and was stopped; to allow more: --limit stall=NUMBER",
    "lock": "the decoder made no progress for 2 s and was stopped; to allow more: --limit stall=NUMBER",
    "loop": "the decoder made no progress for 2 s and was stopped; to allow more: --limit stall=NUMBER",
    "allocate": "needs more than 0.5 GiB of memory; to allow more: --limit memory=NUMBER",
    "leave": "the decoder ended (exit code 7)",
    "kill": "the decoder was killed (signal 9), perhaps because memory ran out",
    "garbage": "the decoder returned damaged data",
    "header": "the decoder returned damaged data",
}


@pytest.mark.usefixtures("_faulty")
@pytest.mark.parametrize("when", ["", "-later"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_decoder_is_an_error_of_the_recording(tmp_path: Path, fault: str, when: str) -> None:
    path = write_media(tmp_path / f"{fault}{when}-a.mp4", 3.0, fps=5)
    good = write_media(tmp_path / "good.mp4", 2.0, fps=5)
    segments: list[Segment] = []
    with pytest.raises(MediaError) as caught, IsolatedRecording(path, limits=SHORT) as recording:
        segments.extend(recording.segments(SAMPLINGS[0]))
    assert str(caught.value) == f"{path}: {FAULTS[fault]}"
    assert [segment.start for segment in segments] == ([0.0] if when else [])
    with IsolatedRecording(good) as recording:
        assert len(list(recording.segments(SAMPLINGS[0]))) == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, good.name])  # no core dump


@pytest.mark.usefixtures("_faulty")
@pytest.mark.parametrize("fault", ["crash", "kill", "garbage", "leave"])
def test_a_fault_that_does_not_recur_costs_nothing(tmp_path: Path, fault: str) -> None:
    """A worker may crash because of the recording before, or be killed from outside."""
    path = write_media(tmp_path / f"{fault}-later-once.mp4", 3.0, fps=5)
    with IsolatedRecording(path, limits=SHORT) as recording:
        segments = list(recording.segments(SAMPLINGS[0]))
    assert Path(f"{path}.failed").exists()
    with Recording(path) as recording:
        expected = list(recording.segments(SAMPLINGS[0]))
    assert [segment.start for segment in segments] == [segment.start for segment in expected]
    for one, other in zip(expected, segments, strict=True):
        np.testing.assert_array_equal(one.frames[0].pixels, other.frames[0].pixels)
        np.testing.assert_array_equal(one.waveform, other.waveform)


PARENT = """
import sys
from avscene.media.limits import Limits
from avscene.media.sampling import Sampling
from avscene.media.workers import IsolatedRecording, process
process.COMMAND = (sys.executable, "-P", sys.argv[2])
recording = IsolatedRecording(sys.argv[1], limits=Limits(stall=float(sys.argv[3]))).__enter__()
print(recording._worker._process.pid, flush=True)
for segment in recording.segments(Sampling(frame_size=32)):
    print(segment.start, flush=True)
    if "stay" in sys.argv[1]:
        sys.stdin.read()
"""


@pytest.mark.parametrize(("name", "stall"), [("stay.mp4", 60), ("hang-later.mp4", 60), ("lock-later.mp4", 1)])
def test_no_worker_survives_a_killed_parent(tmp_path: Path, name: str, stall: int) -> None:
    """While it waits for the parent; while native code hangs; while native code hangs and keeps Python's lock."""
    path = write_media(tmp_path / name, 30.0, fps=5)
    command = [sys.executable, "-c", PARENT, str(path), faulty_worker.__file__, str(stall)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert parent.stdout.readline() == b"0.0\n"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    while is_running(worker):
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # nobody waits for an orphan in some containers


@pytest.mark.usefixtures("_faulty")
@pytest.mark.parametrize("fault", ["hang", "lock", "hang-later", "open"])
def test_close_ends_a_decoder_that_hangs(tmp_path: Path, fault: str) -> None:
    path = write_media(tmp_path / f"{fault}-a.mp4", 3.0, fps=5)
    recording = IsolatedRecording(path)
    closing = threading.Timer(1.0, recording.close)
    closing.start()
    try:
        with recording:
            segments = list(recording.segments(SAMPLINGS[0]))
        assert len(segments) == (1 if "later" in fault else 0)
    except MediaError as error:
        assert str(error) == f"{path}: decoding was stopped"  # noqa: PT017  # only if it was opening
        assert fault == "open"
    closing.join()


def test_a_worker_serves_many_recordings_and_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process._idle.close()
    monkeypatch.setattr(process, "MAX_RECORDINGS", 3)
    path = photograph(tmp_path / "a.png", corner_frame())
    workers = []
    for _ in range(7):
        with IsolatedRecording(path) as recording:
            assert recording._worker is not None
            workers.append(recording._worker._process.pid)
            list(recording.segments(SAMPLINGS[0]))
    assert [workers.index(worker) for worker in workers] == [0, 0, 0, 3, 3, 3, 6]
    assert [is_running(worker) for worker in workers] == [False] * 6 + [True]


def test_a_recording_that_is_not_read_to_its_end_ends_its_worker(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", 30.0, fps=5)
    with IsolatedRecording(path) as recording:
        assert recording._worker is not None
        worker = recording._worker._process.pid
        next(recording.segments(SAMPLINGS[0]))
    assert not is_running(worker)


def test_a_worker_imports_only_what_decodes() -> None:
    """So it starts in a fifth of a second, and takes 45 MB."""
    code = "import avscene.media.workers.__main__, avscene.media.segments, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    packages = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} <= {
        "av",
        "avscene",
        "cython_runtime",
        "numpy",
        "soxr",
    }


def test_the_parent_does_not_load_the_decoder() -> None:
    code = "import avscene.inference, sys; print('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "False\n"


def test_relative_paths_are_relative_to_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        photograph(Path("a.png"), corner_frame())
        with IsolatedRecording("a.png") as recording:
            assert len(list(recording.segments(SAMPLINGS[0]))) == 1
        Path("a.png").unlink()


def test_modules_in_the_working_directory_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process._idle.close()
    monkeypatch.chdir(tmp_path)
    for name in ("av", "numpy", "json", "avscene"):
        Path(f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    photograph(Path("a.png"), corner_frame())
    with IsolatedRecording("a.png") as recording:
        assert len(list(recording.segments(SAMPLINGS[0]))) == 1
    assert not Path("imported").exists()


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(hours=2 / 3600), "is longer than 0.000555556 h; to allow more: --limit hours=NUMBER"),
        (Limits(streams=1), "has 2 streams, more than 1; to allow more: --limit streams=2"),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, problem: str) -> None:
    path = write_media(tmp_path / "a.mp4", 3.0, fps=5)
    with pytest.raises(MediaError) as caught, IsolatedRecording(path, limits=limits) as recording:
        list(recording.segments(SAMPLINGS[0]))
    assert str(caught.value) == f"{path}: {problem}"


def test_frames_with_too_many_pixels_are_refused(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a.png", plain_frame(0, (64, 48)))
    with (
        pytest.raises(MediaError, match=r"has 0\.003072 megapixels \(64x48\), .*--limit megapixels=1"),
        IsolatedRecording(path, limits=Limits(megapixels=64 * 47 / 1e6)) as recording,
    ):
        list(recording.segments(SAMPLINGS[0]))
    with IsolatedRecording(path, limits=Limits(megapixels=64 * 48 / 1e6 + 1e-6)) as recording:
        assert len(list(recording.segments(SAMPLINGS[0]))) == 1
