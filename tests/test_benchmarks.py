"""Benchmarks run and write their page; what they figure with holds for any times."""

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

from avscene.media.segments import Recording, Sampling
from benchmarks import __main__ as page
from benchmarks import clips, growth, harness

ROOT = Path(page.__file__).parent.parent
PEERS = {"decoding": "cv2", "logmel": "librosa"}
PRESENT = [name for name in page.MODULES if find_spec(f"benchmarks.{name}")]
FIGURE = re.compile(r"\d[\d,.]*(?:e-?\d+)?")

times = st.floats(1e-4, 1e4)


@pytest.fixture(autouse=True)
def _leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def cells(text: str) -> list[list[str]]:
    """The rows of the page's table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("module", PRESENT)
def test_quick_run_writes_a_page_of_positive_figures(module: str, tmp_path: Path) -> None:
    pytest.importorskip(PEERS.get(module, "torch"))
    output = tmp_path / "results.md"
    page.main(["--quick", "--rounds", "1", "--only", module, "--output", str(output)])
    rows = cells(output.read_text(encoding="utf-8"))
    assert rows
    for row in rows:
        assert len(row) == len(harness.HEADINGS), row
        _, ours, theirs, ratio, spread, *_ = row
        for figures in (ours, theirs, ratio, spread):
            found = FIGURE.findall(figures)
            assert found, row
            assert all(float(figure.replace(",", "")) > 0 for figure in found), row


def test_a_part_leaves_the_results_as_they_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "lines_of", lambda *_, **__: iter(["| a row |"]))
    monkeypatch.setattr(page, "RESULTS", Path("/nowhere/results.md"))
    page.main(["--only", "logmel"])
    assert "| a row |" in "".join(capsys.readouterr())


def test_a_module_that_fails_says_so_in_a_row_and_the_others_are_told() -> None:
    (line,) = page.lines_of("no_such_module", 1, quick=True)
    (row,) = cells(f"|\n|\n{line}")
    assert row[0] == "**no_such_module failed**"
    assert row[-1].startswith("ModuleNotFoundError")
    assert len(row) == len(harness.HEADINGS)


def test_the_page_tells_the_machine_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PACKAGES", ("torch", "no-such-package"))
    assert re.fullmatch(r"Python [\d.]+, torch [\w.+]+, no-such-package missing", page.versions())
    assert re.search(r", \d+ cores \(", page.machine())


def test_runs_take_turns_after_a_round_that_does_not_count() -> None:
    called: list[str] = []
    taken = harness.in_turn({name: lambda name=name: called.append(name) for name in "ab"}, rounds=3)
    assert "".join(called) == "ab" * 4
    assert {name: len(seconds) for name, seconds in taken.items()} == {"a": 3, "b": 3}


@given(st.lists(times, min_size=1), st.floats(0.1, 10))
def test_a_peer_that_always_takes_k_times_as_long_has_ratio_k(ours: list[float], k: float) -> None:
    row = harness.compared("x", {"we": ours, "they": [k * one for one in ours]}, "we", "they")
    assert row.ratios == pytest.approx([k] * len(ours))
    assert row.ratio == pytest.approx(k)


@given(st.floats(1e-3, 1e5))
def test_durations_are_told_to_three_figures(seconds: float) -> None:
    value, unit = harness.duration(seconds).split()
    assert float(value) * {"s": 1, "ms": 1e-3}[unit] == pytest.approx(seconds, rel=6e-3)


def test_a_row_in_markdown() -> None:
    row = harness.Row("x", "1 s", "peer: 2 s", (2.0, 1.5, 4.0), least=0.95, note="why")
    assert row.markdown() == "| x | 1 s | peer: 2 s | 2.00 | 1.50 to 4.00 | 0.95 | why |"
    assert list(harness.table([row]))[2:] == [row.markdown()]
    assert harness.Row("x", "1", "2", (1.0,), wanted="0.95 to 1.05").markdown().split(" | ")[5] == "0.95 to 1.05"


@given(st.lists(st.floats(1, 1e4), min_size=2, max_size=6), st.floats(0.2, 3), st.floats(1e-3, 1e3))
def test_exponent_of_a_power_is_its_own(steps: list[float], k: float, factor: float) -> None:
    sizes = np.cumprod(1 + np.array(steps))
    assert growth.exponent(sizes, factor * sizes**k) == pytest.approx(k, rel=1e-6)


def test_memory_told_is_that_of_the_process_itself_at_its_most() -> None:
    held = np.ones(2**26)  # 512 MB, of which the process that is started must not know
    code = "from benchmarks.growth import peak; a = peak(); held = bytearray(2**28); del held; print(a, peak())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    before, after = map(float, done.stdout.split())
    del held
    assert before < 256
    assert after - before == pytest.approx(256, abs=20)


def test_films_have_their_length_size_and_kinds_of_frames(tmp_path: Path) -> None:
    path = clips.film(tmp_path / "film.mp4", 4, 320, 180, fps=10)
    assert 1e5 < clips.bit_rate(path) < 5e5
    with av.open(str(path)) as container:
        images = list(container.decode(video=0))
    assert [image.pts * image.time_base for image in images] == [Fraction(index, 10) for index in range(40)]
    assert {PictureType(image.pict_type).name for image in images} == {"I", "P", "B"}
    assert (images[0].width, images[0].height) == (320, 180)


def test_a_repeated_film_is_as_many_times_as_long_and_whole(tmp_path: Path) -> None:
    once = clips.film(tmp_path / "once.mp4", 2, 320, 180, fps=10)
    thrice = clips.repeated(tmp_path / "thrice.mp4", once, 3)
    assert clips.bit_rate(thrice) == pytest.approx(clips.bit_rate(once), rel=0.05)
    found = {}
    for path in (once, thrice):
        with Recording(path) as recording:
            found[path] = list(recording.segments(Sampling(frame_size=90, sample_rate=8000)))
            assert not recording.warnings
    assert len(found[thrice]) == 3 * len(found[once])
    for segment, again in zip(found[once] * 3, found[thrice], strict=True):
        assert np.array_equal(segment.frames[0].pixels, again.frames[0].pixels)
        assert again.waveform is not None


def test_films_are_made_once(tmp_path: Path) -> None:
    path = clips.cached(1, 320, 180, fps=10)
    made = path.stat().st_mtime_ns
    assert clips.cached(1, 320, 180, fps=10) == path
    assert path.stat().st_mtime_ns == made
    assert path.parent.parent == tmp_path


def test_frames_that_are_not_the_same_are_refused() -> None:
    decoding = pytest.importorskip("benchmarks.decoding", exc_type=ImportError)
    found = decoding.segments(clips.cached(2, 320, 180, fps=10), decoding.PICTURE)
    pictures = np.stack([segment.frames[0].pixels for segment in found])
    assert decoding.check_pictures(pictures, found) == 0
    with pytest.raises(AssertionError):
        decoding.check_pictures(pictures[::-1], found)
