"""Test that videos are turned and mirrored as the ffmpeg program shows them."""

import math
from pathlib import Path

import numpy as np
import pytest

from avscene.media.segments import Recording, Sampling
from tests.support.display_matrices import UPRIGHT_MATRICES, set_matrix
from tests.support.ffmpeg_program import ffmpeg
from tests.support.media_files import corner_colours
from tests.support.processes import ROOT
from tests.support.side_data import bits, with_orientations

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


# Payloads of H.264's display-orientation message (D.1.27): turned by 180 degrees, or cancelled.
PERSISTENT = bits((0, 1), (0, 1), (0, 1), (0x8000, 16), (0b010, 3), (0, 1))  # a repetition period of 1
ONCE = bits((0, 1), (0, 1), (0, 1), (0x8000, 16), (1, 1), (0, 1))  # a period of 0
CANCELLED = bits((1, 1))
# Group of pictures, messages by packet -> corners of each frame: "rgwb" upright, "wbrg" turned.
MESSAGES = {
    "counts for later frames": (4, {0: PERSISTENT}, ["wbrg"] * 4),
    "ends with the sequence": (2, {0: PERSISTENT}, ["wbrg", "wbrg", "rgwb", "rgwb"]),
    "in each sequence": (2, {0: PERSISTENT, 2: PERSISTENT}, ["wbrg"] * 4),
    "cancelled": (4, {0: PERSISTENT, 2: CANCELLED}, ["wbrg", "wbrg", "rgwb", "rgwb"]),
    "for one frame": (4, {1: ONCE}, ["rgwb", "wbrg", "rgwb", "rgwb"]),
    "within a sequence": (4, {2: PERSISTENT}, ["rgwb", "rgwb", "wbrg", "wbrg"]),
}


def corners(path: Path, keyframes_only: bool = False) -> list[str]:
    sampling = Sampling(0.5, frame_size=48, keyframes_only=keyframes_only)
    with Recording(path) as recording:
        return [corner_colours(segment.frames[0].pixels) for segment in recording.segments(sampling)]


@pytest.mark.parametrize("name", MESSAGES)
def test_an_orientation_in_the_stream_counts_until_it_ends(tmp_path: Path, name: str) -> None:
    gop, messages, expected = MESSAGES[name]
    assert corners(with_orientations(tmp_path / "a.mp4", messages, gop)) == expected


def test_an_orientation_counts_in_the_order_of_display(tmp_path: Path) -> None:
    path = with_orientations(tmp_path / "a.mp4", {1: PERSISTENT}, gop=4, n_bframes=2)  # the last frame, decoded second
    assert corners(path) == ["rgwb", "rgwb", "rgwb", "wbrg"]


def test_an_orientation_in_the_stream_counts_for_key_frames(tmp_path: Path) -> None:
    path = with_orientations(tmp_path / "a.mp4", {0: PERSISTENT}, gop=2)
    assert corners(path, keyframes_only=True)[::2] == ["wbrg", "rgwb"]


def test_an_orientation_in_the_stream_counts_before_the_matrix_of_the_container(tmp_path: Path) -> None:
    path = with_orientations(tmp_path / "a.mp4", {0: PERSISTENT, 2: CANCELLED}, gop=4)
    turned = corners(set_matrix(path, UPRIGHT_MATRICES["mirrored"]))
    assert turned == ["wbrg", "wbrg", "grbw", "grbw"]
