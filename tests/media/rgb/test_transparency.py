"""Test that transparent pixels are shown over white, whatever colour they hide."""

from pathlib import Path

import numpy as np
import pytest

from avscene.media.segments import Recording, Sampling
from tests.support.ffmpeg_program import ffmpeg

SIZE = (128, 96)  # width, height
# Name -> options of the encoder, and the largest difference to the source that its loss allows.
FILES = {
    "png.mov": (["-c:v", "png", "-pix_fmt", "rgba"], 1),
    "qtrle.mov": (["-c:v", "qtrle", "-pix_fmt", "argb"], 1),
    "prores.mov": (["-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le", "-q:v", "1"], 24),
    "ffv1.mkv": (["-c:v", "ffv1", "-pix_fmt", "yuva420p"], 24),
    "a.apng": (["-f", "apng", "-pix_fmt", "rgba"], 1),
}


def source() -> np.ndarray:
    """Return red, hidden towards the left by alpha (h, w, 4)."""
    width, height = SIZE
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[..., 0], pixels[..., 2] = 200, 40
    pixels[..., 3] = np.linspace(0, 255, width).astype(np.uint8)
    return pixels


def write(path: Path, pixels: np.ndarray, *options: str) -> Path:
    """Write two seconds of one frame with the ffmpeg program."""
    raw = path.with_suffix(".rgba")
    raw.write_bytes(pixels.tobytes() * 10)
    form = ("-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{SIZE[0]}x{SIZE[1]}", "-r", "5")
    ffmpeg(*form, "-i", raw, *options, path)
    return path


def shown(path: Path) -> np.ndarray:
    with Recording(path) as recording:
        return next(recording.segments(Sampling(frame_size=1000))).frames[0].pixels


@pytest.mark.parametrize("name", FILES)
def test_transparent_pixels_are_composited_over_white(tmp_path: Path, name: str) -> None:
    options, tolerance = FILES[name]
    pixels = shown(write(tmp_path / name, source(), *options))
    colours, alpha = source()[..., :3].astype(float), source()[..., 3:] / 255
    expected = colours * alpha + 255 * (1 - alpha)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= tolerance


def test_a_transparent_gif_is_shown_over_white(tmp_path: Path) -> None:
    pixels = source()
    pixels[..., 3] = np.where(np.arange(SIZE[0]) < SIZE[0] // 2, 0, 255)
    palette = "split[a][b];[a]palettegen=reserve_transparent=1[p];[b][p]paletteuse"
    shown_pixels = shown(write(tmp_path / "a.gif", pixels, "-filter_complex", palette))
    assert (shown_pixels[:, : SIZE[0] // 2 - 1] == 255).all()
    assert np.abs(shown_pixels[:, SIZE[0] // 2 + 1 :].astype(int) - (200, 0, 40)).max() < 12


def test_hidden_colours_do_not_reach_the_edges_of_a_smaller_frame(tmp_path: Path) -> None:
    pixels = source()
    pixels[..., :3] = (0, 255, 0)
    pixels[:, : SIZE[0] // 2] = (255, 255, 255, 255)
    pixels[:, SIZE[0] // 2 :, 3] = 0
    with Recording(write(tmp_path / "a.mov", pixels, "-c:v", "png", "-pix_fmt", "rgba")) as recording:
        small = next(recording.segments(Sampling(frame_size=33))).frames[0].pixels
    assert (small == 255).all()
