"""Test that colours are converted as the file states or, where it states nothing, as players guess."""

from pathlib import Path

import numpy as np
import pytest

from avscene.media.segments import Recording, Sampling
from tests.support.ffmpeg_program import ffmpeg

# Width, height -> matrix that players assume, by ffmpeg's name.
GUESSES = {
    "1280x720": "bt709",
    "720x1280": "bt709",
    "1280x544": "bt709",
    "960x578": "bt709",
    "1024x576": "bt601",
    "320x240": "bt601",
}
STATED = ("bt709", "bt470bg", "smpte170m", "smpte240m", "fcc", "bt2020nc")


def video(path: Path, size: str, *options: str) -> Path:
    """Write one second of saturated colours, without loss and chroma subsampling."""
    source = f"smptehdbars=s={size}:r=2:d=1,format=yuv444p,setparams=colorspace=unknown"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", *options, path)
    return path


def shown(path: Path) -> np.ndarray:
    with Recording(path) as recording:
        return next(recording.segments(Sampling(frame_size=10_000))).frames[0].pixels


def by_ffmpeg(path: Path, filters: str, shape: tuple[int, ...]) -> np.ndarray:
    raw = ffmpeg("-i", path, "-vf", filters, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(shape)


@pytest.mark.parametrize(("size", "matrix"), GUESSES.items())
def test_a_matrix_that_is_not_stated_is_guessed_as_players_do(tmp_path: Path, size: str, matrix: str) -> None:
    path = video(tmp_path / "a.mkv", size)
    pixels = shown(path)
    expected = by_ffmpeg(path, f"scale=in_color_matrix={matrix}:in_range=tv", pixels.shape)
    np.testing.assert_allclose(pixels.astype(int), expected, atol=1)


@pytest.mark.parametrize("extent", ["tv", "pc"])
@pytest.mark.parametrize("matrix", STATED)
@pytest.mark.parametrize("size", ["320x240", "1280x720"])
def test_a_stated_matrix_and_range_are_used(tmp_path: Path, size: str, matrix: str, extent: str) -> None:
    path = video(tmp_path / "a.mkv", size, "-colorspace", matrix, "-color_range", extent)
    pixels = shown(path)
    expected = by_ffmpeg(path, "zscale=m=gbr:r=pc,format=gbrp", pixels.shape)
    np.testing.assert_allclose(pixels.astype(int), expected, atol=2)


def test_motion_jpeg_has_the_matrix_and_full_range_of_jpeg(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "smptehdbars=s=1280x720:r=2:d=1", "-c:v", "mjpeg", "-q:v", "1", tmp_path / "a.avi")
    pixels = shown(tmp_path / "a.avi")
    expected = by_ffmpeg(tmp_path / "a.avi", "scale=in_color_matrix=bt601:in_range=pc", pixels.shape)
    assert np.abs(pixels.astype(int) - expected).mean() < 1


# BT.2020 with constant luminance, derived from primaries, ICtCp, reserved: by the numbers of H.273, table 4.
@pytest.mark.parametrize(("number", "matrix"), [(10, "bt2020"), (12, "bt601"), (14, "bt601"), (3, "bt601")])
def test_a_matrix_that_ffmpeg_cannot_convert_is_guessed_too(tmp_path: Path, number: int, matrix: str) -> None:
    plain = video(tmp_path / "a.mkv", "320x240")
    expected = by_ffmpeg(plain, f"scale=in_color_matrix={matrix}:in_range=tv", (240, 320, 3))
    ffmpeg("-i", plain, "-c", "copy", "-bsf:v", f"h264_metadata=matrix_coefficients={number}", tmp_path / "b.mkv")
    np.testing.assert_allclose(shown(tmp_path / "b.mkv").astype(int), expected, atol=1)


@pytest.mark.parametrize("extent", ["tv", "pc"])
def test_ycgco_is_converted(tmp_path: Path, extent: str) -> None:
    source = "smptehdbars=s=320x240:r=2:d=1,zscale=min=709:rin=tv:m=gbr:r=pc,format=gbrp"
    filters = f"{source},zscale=min=gbr:rin=pc:m=ycgco:r={extent},format=yuv444p"
    ffmpeg("-f", "lavfi", "-i", filters, "-c:v", "libx264", "-qp", "0", "-colorspace", "ycgco", tmp_path / "a.mkv")
    pixels = shown(tmp_path / "a.mkv")
    expected = by_ffmpeg(tmp_path / "a.mkv", "zscale=m=gbr:r=pc,format=gbrp", pixels.shape)
    np.testing.assert_allclose(pixels.astype(int), expected, atol=1)
