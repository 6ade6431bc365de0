"""Test that videos are turned and mirrored as the ffmpeg program shows them."""

import math
from pathlib import Path

import numpy as np
import pytest

from avscene.media.segments import Recording, Sampling
from tests.support.display_matrices import UPRIGHT_MATRICES, set_matrix
from tests.support.ffmpeg_program import ffmpeg
from tests.support.processes import ROOT

SIZE = (96, 64)  # width, height


def video(path: Path) -> Path:
    """Write an mp4 of one second in RGB without loss."""
    width, height = SIZE
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={width}x{height}:r=5:d=1", "-c:v", "libx264rgb", "-qp", "0", path)
    return path


def shown(path: Path) -> np.ndarray:
    """Return the frame of the first second, not scaled."""
    with Recording(path) as recording:
        return next(recording.segments(Sampling(frame_size=1000))).frames[0].pixels


def shown_by_ffmpeg(path: Path, height: int, width: int) -> np.ndarray:
    """Return the frame that the ffmpeg program shows at the middle of the first second."""
    raw = ffmpeg("-i", path, "-vf", "select=eq(n\\,2)", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


@pytest.mark.parametrize("name", UPRIGHT_MATRICES)
def test_each_display_matrix_is_applied_as_by_ffmpeg(tmp_path: Path, name: str) -> None:
    path = set_matrix(video(tmp_path / "a.mp4"), UPRIGHT_MATRICES[name])
    pixels = shown(path)
    assert pixels.shape[:2] == (SIZE if UPRIGHT_MATRICES[name][0] == 0 else SIZE[::-1])
    np.testing.assert_array_equal(pixels, shown_by_ffmpeg(path, *pixels.shape[:2]))


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 1, 0, 1), (1, 1, 1, 1)])
def test_a_matrix_without_an_inverse_does_not_turn_the_video(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    path = video(tmp_path / "a.mp4")
    upright = shown(path)
    np.testing.assert_array_equal(shown(set_matrix(path, matrix)), upright)


@pytest.mark.parametrize(("degrees", "nearest"), [(10, "none"), (-30, "none"), (80, "90"), (-100, "270"), (170, "180")])
def test_another_angle_counts_as_the_nearest_quarter_turn(tmp_path: Path, degrees: float, nearest: str) -> None:
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    path = video(tmp_path / "a.mp4")
    turned = shown(set_matrix(path, UPRIGHT_MATRICES[nearest]))
    np.testing.assert_array_equal(shown(set_matrix(path, (cosine, sine, -sine, cosine))), turned)


def test_a_matrix_of_zeros_as_mp4box_writes_it_does_not_turn_the_video() -> None:
    assert shown(ROOT.parent / "shared" / "media_faults" / "zero_matrix.mp4").shape == (96, 128, 3)
