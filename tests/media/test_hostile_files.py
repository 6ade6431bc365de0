"""Test that files made to cost time, memory or output give one clear error or an answer within their limits."""

from pathlib import Path

import pytest

from avscene.errors import MediaError
from avscene.media.sampling import Sampling
from avscene.media.workers import IsolatedRecording
from tests.support.hostile_files import FILES, SLOW

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").iterdir() if path.name != "README.md")
SAMPLING = Sampling(sample_rate=16000, frame_size=224)


def check(path: Path) -> str | None:
    """Read a file; return its error. It has at most a segment per byte and 600 more, and its duration fits them."""
    n_segments = 0
    try:
        with IsolatedRecording(path) as recording:
            for _ in recording.segments(SAMPLING):
                n_segments += 1
        assert n_segments <= max(recording.duration + 1, 1)
    except MediaError as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        return message.removeprefix(f"{path}: ")
    finally:
        assert n_segments <= path.stat().st_size + 600
    return None


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_files_found_by_mutation_end_with_an_answer_or_one_error(path: Path) -> None:
    error = check(path)
    assert error is None or ("no progress" not in error and "crashed" not in error)
    assert f"| {path.name} |" in (path.parent / "README.md").read_text()


def test_video_of_a_matrix_that_ffmpeg_cannot_convert_is_read(tmp_path: Path) -> None:
    content = (Path(__file__).parent / "corpus" / "colours.avif").read_bytes()
    path = tmp_path / "a.avif"
    path.write_bytes(content.replace(b"ftypavif", b"ftypavis", 1))  # a sequence, which Pillow does not decode
    assert check(path) is None


@pytest.mark.parametrize("name", [n if n not in SLOW else pytest.param(n, marks=pytest.mark.slow) for n in FILES])
@pytest.mark.timeout(300)
def test_hostile_files_end_with_an_answer_or_one_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name](path))
    check(path)


@pytest.mark.parametrize("name", ["one_day.gif", "far_video.mkv", "far_video.mp4"])
def test_timestamps_that_no_file_of_this_size_can_have_are_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name](path))
    assert "so they are damaged" in (check(path) or "")


@pytest.mark.parametrize("name", ["one_hertz.wav", "gigahertz.wav", "two_gigahertz.wav"])
def test_sample_rates_that_no_audio_has_are_damage(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name](path))
    assert "its audio cannot be decoded: " in (check(path) or "")


def test_audio_of_100_hz_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(FILES["hundred_hertz.wav"](path))
    with IsolatedRecording(path) as recording:
        assert sum(1 for _ in recording.segments(SAMPLING)) == 1000
