"""Test that benchmarks run and write their page, and that their statistics hold for any times."""

import re
import subprocess
import sys
import tempfile
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType
from hypothesis import given
from hypothesis import strategies as st

from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from benchmarks import __main__ as page
from benchmarks import growth, harness, videos

ROOT = Path(page.__file__).parent.parent
PEERS = {"decoding": "cv2", "logmel": "librosa"}
LONG = ("cluster", "growth", "server")  # modules whose quick run takes long
PRESENT = [
    pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
    for name in page.MODULES
    if find_spec(f"benchmarks.{name}")
]
NUMBER = re.compile(r"\d[\d,.]*(?:e-?\d+)?")

times = st.floats(1e-4, 1e4)


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated videos, which the tests of this module share."""
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(autouse=True)
def _temporary_files(video_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(video_folder))


def cells(text: str) -> list[list[str]]:
    """Return the rows of the table in a page."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("module", PRESENT)
def test_a_quick_run_writes_a_page_of_positive_numbers(module: str, tmp_path: Path) -> None:
    pytest.importorskip(PEERS.get(module, "torch"))
    output = tmp_path / "results.md"
    page.main(["--quick", "--rounds", "1", "--only", module, "--output", str(output)])
    rows = cells(output.read_text(encoding="utf-8"))
    assert rows
    for row in rows:
        assert len(row) == len(harness.HEADINGS), row
        _, ours, theirs, ratio, span, *_ = row
        for cell in (ours, theirs, ratio, span):
            found = NUMBER.findall(cell)
            assert found, row
            assert all(float(number.replace(",", "")) > 0 for number in found), row


def test_a_run_of_one_module_does_not_write_the_results(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "lines_of", lambda *_, **__: iter(["| a row |"]))
    monkeypatch.setattr(page, "RESULTS", Path("/nowhere/results.md"))
    page.main(["--only", "logmel"])
    assert "| a row |" in "".join(capsys.readouterr())


def test_a_module_that_fails_gets_a_row_with_its_error() -> None:
    (line,) = page.lines_of("no_such_module", 1, quick=True)
    (row,) = cells(f"|\n|\n{line}")
    assert row[0] == "**no_such_module failed**"
    assert row[-1].startswith("ModuleNotFoundError")
    assert len(row) == len(harness.HEADINGS)


def test_the_page_names_the_machine_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PACKAGES", ("torch", "no-such-package"))
    assert re.fullmatch(r"Python [\d.]+, torch [\w.+]+, no-such-package missing", page.versions())
    assert re.search(r", \d+ cores \(", page.machine())


def test_runs_take_turns_after_a_warm_up_round() -> None:
    called: list[str] = []
    times_of = harness.time_in_turn({name: lambda name=name: called.append(name) for name in "ab"}, rounds=3)
    assert "".join(called) == "ab" * 4
    assert {name: len(seconds) for name, seconds in times_of.items()} == {"a": 3, "b": 3}


@given(st.lists(times, min_size=1), st.floats(0.1, 10))
def test_a_peer_that_takes_k_times_as_long_has_ratio_k(ours: list[float], k: float) -> None:
    row = harness.comparison_row("x", {"we": ours, "they": [k * one for one in ours]}, "we", "they")
    assert row.ratios == pytest.approx([k] * len(ours))
    assert row.ratio == pytest.approx(k)


@given(st.floats(1e-3, 1e5))
def test_durations_have_three_significant_digits(seconds: float) -> None:
    value, unit = harness.duration(seconds).split()
    assert float(value) * {"s": 1, "ms": 1e-3}[unit] == pytest.approx(seconds, rel=6e-3)


def test_markdown_of_a_row() -> None:
    row = harness.Row("x", "1 s", "peer: 2 s", (2.0, 1.5, 4.0), target=0.95, note="why")
    assert row.markdown() == "| x | 1 s | peer: 2 s | 2.00 | 1.50 to 4.00 | 0.95 | why |"
    assert list(harness.table([row]))[2:] == [row.markdown()]
    assert harness.Row("x", "1", "2", (1.0,), target_text="0.95 to 1.05").markdown().split(" | ")[5] == "0.95 to 1.05"


@given(st.lists(st.floats(1, 1e4), min_size=2, max_size=6), st.floats(0.2, 3), st.floats(1e-3, 1e3))
def test_the_exponent_of_a_power_is_found(steps: list[float], k: float, factor: float) -> None:
    sizes = np.cumprod(1 + np.array(steps))
    assert growth.exponent(sizes, factor * sizes**k) == pytest.approx(k, rel=1e-6)


def test_peak_memory_is_that_of_the_process_alone() -> None:
    held = np.ones(2**26)  # 512 MB, which must not count for the new process
    code = "from benchmarks.growth import peak; a = peak(); held = bytearray(2**28); del held; print(a, peak())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    before, after = map(float, done.stdout.split())
    del held
    assert before < 256
    assert after - before == pytest.approx(256, abs=20)


def test_videos_have_the_requested_length_size_and_kinds_of_frames(tmp_path: Path) -> None:
    path = videos.make_video(tmp_path / "video.mp4", 4, 320, 180, fps=10)
    assert 1e5 < videos.bit_rate(path) < 5e5
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(index, 10) for index in range(40)]
    assert {PictureType(frame.pict_type).name for frame in frames} == {"I", "P", "B"}
    assert (frames[0].width, frames[0].height) == (320, 180)


def test_a_repeated_video_has_all_frames_of_each_repetition(tmp_path: Path) -> None:
    once = videos.make_video(tmp_path / "once.mp4", 2, 320, 180, fps=10)
    thrice = videos.repeat_video(tmp_path / "thrice.mp4", once, 3)
    assert videos.bit_rate(thrice) == pytest.approx(videos.bit_rate(once), rel=0.05)
    found = {}
    for path in (once, thrice):
        with Recording(path) as recording:
            found[path] = list(recording.segments(Sampling(frame_size=90, sample_rate=8000)))
            assert not recording.warnings
    assert len(found[thrice]) == 3 * len(found[once])
    for segment, again in zip(found[once] * 3, found[thrice], strict=True):
        assert np.array_equal(segment.frames[0].pixels, again.frames[0].pixels)
        assert again.waveform is not None


def test_videos_are_generated_once(video_folder: Path) -> None:
    path = videos.cached_video(1, 320, 180, fps=10)
    written = path.stat().st_mtime_ns
    assert videos.cached_video(1, 320, 180, fps=10) == path
    assert path.stat().st_mtime_ns == written
    assert path.parent.parent == video_folder


def test_the_check_of_frames_refuses_other_frames() -> None:
    decoding = pytest.importorskip("benchmarks.decoding", exc_type=ImportError)
    found = decoding.segments(videos.cached_video(2, 320, 180, fps=10), decoding.ONE_FRAME)
    frames = np.stack([segment.frames[0].pixels for segment in found])
    assert decoding.check_frames(frames, found) == 0
    with pytest.raises(AssertionError):
        decoding.check_frames(frames[::-1], found)
