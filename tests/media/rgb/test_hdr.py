"""Test that high dynamic range is mapped to standard range: PQ and HLG look like the same frame in BT.709."""

from pathlib import Path

import numpy as np
import pytest

from avscene.media.rgb.hdr import WHITE, compress
from avscene.media.segments import Recording, Sampling
from tests.support.ffmpeg_program import ffmpeg
from tests.support.frame_checks import photo

SIZE = (320, 240)  # width, height
TRANSFERS = ("smpte2084", "arib-std-b67")  # PQ and HLG, by ffmpeg's names


def write(path: Path, pixels: np.ndarray, transfer: str, white: int = 203) -> Path:
    """Write a frame of standard range (h, w, 3) as one second of HEVC in PQ or HLG, its white at `white` cd/m2."""
    raw = path.with_suffix(".rgb")
    raw.write_bytes(pixels.tobytes() * 2)
    convert = f"zscale=min=gbr:tin=bt709:pin=bt709:rin=pc:t={transfer}:p=2020:m=2020_ncl:r=tv:npl={white}:agamma=false"
    height, width = pixels.shape[:2]
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "2", "-i", raw)
    tags = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
    options = ("-c:v", "libx265", "-x265-params", "log-level=none:lossless=1", *tags)
    ffmpeg(*source, "-vf", f"format=gbrp,{convert},format=yuv444p10le", *options, path)
    return path


def shown(path: Path, size: int = 1000) -> np.ndarray:
    with Recording(path) as recording:
        return next(recording.segments(Sampling(frame_size=size))).frames[0].pixels


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_frame_of_standard_range_comes_back(tmp_path: Path, transfer: str) -> None:
    pixels = photo(SIZE[1], SIZE[0])
    difference = np.abs(shown(write(tmp_path / "a.mp4", pixels, transfer)).astype(int) - pixels)
    assert difference.mean() < 1  # of the 255 levels of standard range, 10 bits of PQ have about 590
    assert np.percentile(difference, 99) <= 3


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_saturated_colours_come_back(tmp_path: Path, transfer: str) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    for index, colour in enumerate(
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (40, 120, 200), (90, 30, 60)]
    ):
        pixels[:, 10 * index :] = colour
    path = write(tmp_path / "a.mp4", pixels, transfer)
    back = "zscale=agamma=false:t=bt709:npl=203:m=gbr:r=pc:p=709,format=gbrp"
    raw = ffmpeg("-i", path, "-vf", back, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(pixels.shape)  # with the rounding to 10 bits
    np.testing.assert_allclose(shown(path).astype(int), expected, atol=5)
    assert np.abs(shown(path).astype(int) - pixels).mean() < 3


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_bright_parts_are_compressed_and_dark_ones_keep_their_tone(tmp_path: Path, transfer: str) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    path = write(tmp_path / "a.mp4", ramp, transfer, white=406)
    tones = shown(path)[32, :, 0].astype(int)
    assert (np.diff(tones) >= -1).all()
    assert tones[-1] == 255
    assert 225 < tones[200] < 250 < tones[240]  # white before was at 191
    doubled = 2 ** (1 / 2.4) * np.arange(256)
    dark = doubled < 90
    np.testing.assert_allclose(tones[dark], doubled[dark], atol=4)


def test_frames_of_another_size_are_scaled(tmp_path: Path) -> None:
    pixels = photo(SIZE[1], SIZE[0])
    path = write(tmp_path / "a.mp4", pixels, "smpte2084")
    sdr = ffmpeg(
        *("-i", path, "-vf", "zscale=agamma=false:t=linear:npl=203:m=gbr:r=pc:p=709,format=gbrpf32le"),
        *("-frames:v", "1", "-f", "rawvideo", "-"),
    )
    green, blue, red = np.frombuffer(sdr, np.float32).reshape(3, *pixels.shape[:2])
    light = np.clip(np.stack([red, green, blue], axis=2), 0, 1)
    expected = (light ** (1 / 2.4) * 255).reshape(120, 2, 160, 2, 3).mean(axis=(1, 3))
    assert np.abs(shown(path, 120) - expected).mean() < 4


def test_the_curve_is_that_of_bt2390() -> None:
    """Expected values: the equations of BT.2390-11, 5.4.1, for 1000 cd/m2 mapped to 203."""
    luminance = np.array([0.0, 1.0, 20.0, 60.0, 203.0, 1000.0])
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    signal = ((c1 + c2 * (luminance / 1e4) ** m1) / (1 + c3 * (luminance / 1e4) ** m1)) ** m2
    e1, largest = signal / signal[-1], signal[4] / signal[-1]
    start = 1.5 * largest - 0.5
    t = (e1 - start) / (1 - start)
    e2 = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * (1 - start) + (3 * t**2 - 2 * t**3) * largest
    mapped = np.where(e1 < start, e1, e2) * signal[-1]
    power = mapped ** (1 / m2)
    expected = 1e4 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    np.testing.assert_allclose(compress(luminance.astype(np.float32), 1000.0), expected, rtol=2e-3, atol=1e-3)
    assert expected[-1] == pytest.approx(WHITE)
    assert expected[:3] == pytest.approx(luminance[:3], abs=1e-6)
