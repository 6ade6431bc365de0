"""Test that frames have the shape in which they are displayed."""

from pathlib import Path

import numpy as np
import pytest

from avscene.media.segments import Recording, Sampling
from tests.support.display_matrices import UPRIGHT_MATRICES, set_matrix
from tests.support.ffmpeg_program import ffmpeg

# Of each ratio, the shape of 720 x 576 pixels whose shorter side is 256.
SHAPES = {"64/45": (256, 455), "16/15": (256, 341), "1/2": (410, 256)}
CODECS = {".mp4": "libx264", ".mkv": "libx264", ".ts": "mpeg2video", ".vob": "mpeg2video", ".avi": "mpeg4"}


def video(path: Path, aspect: str, seconds: int = 1, size: str = "720x576") -> Path:
    """Write a video with a sample aspect ratio."""
    source = f"testsrc2=s={size}:r=25:d={seconds},setsar={aspect}"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", CODECS[path.suffix], "-q:v", "3", path)
    return path


def frames(path: Path, size: int = 256) -> list[np.ndarray]:
    """Return the frame of each second."""
    with Recording(path) as recording:
        return [segment.frames[0].pixels for segment in recording.segments(Sampling(frame_size=size))]


# MPEG-2 states one of three ratios of the whole frame.
@pytest.mark.parametrize(
    ("suffix", "aspect"),
    [
        (suffix, aspect)
        for suffix, codec in CODECS.items()
        for aspect in SHAPES
        if (codec, aspect) != ("mpeg2video", "1/2")
    ],
)
def test_frames_have_the_shape_that_ffmpeg_shows(tmp_path: Path, suffix: str, aspect: str) -> None:
    shape = SHAPES[aspect]
    path = video(tmp_path / f"a{suffix}", aspect)
    pixels = frames(path)[0]
    assert pixels.shape == (*shape, 3)
    # ffmpeg scales twice: to square pixels and to the size of ours
    filters = f"select=eq(n\\,12),scale=iw*sar:ih,setsar=1,scale={shape[1]}:{shape[0]}"
    raw = ffmpeg("-i", path, "-vf", filters, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    expected = np.frombuffer(raw, np.uint8).reshape(pixels.shape)
    assert np.abs(pixels.astype(int) - expected).mean() < 4


def test_a_ratio_of_the_container_counts_before_that_of_the_codec(tmp_path: Path) -> None:
    ffmpeg("-i", video(tmp_path / "a.mp4", "64/45"), "-c", "copy", "-aspect", "4:3", tmp_path / "b.mp4")
    assert frames(tmp_path / "b.mp4")[0].shape == (256, 341, 3)


def test_a_ratio_may_change_within_a_stream(tmp_path: Path) -> None:
    parts = [video(tmp_path / f"{k}.ts", aspect, seconds=2) for k, aspect in enumerate(["64/45", "16/15"])]
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert [pixels.shape[1] for pixels in frames(tmp_path / "a.ts")] == [455, 455, 341, 341]


@pytest.mark.parametrize("aspect", ["0/1", "1/1", "1/60000", "60000/1"])
def test_an_absurd_ratio_is_ignored(tmp_path: Path, aspect: str) -> None:
    assert frames(video(tmp_path / "a.mkv", aspect, size="320x240"))[0].shape == (240, 320, 3)


def test_a_small_frame_is_not_enlarged_beyond_its_displayed_size(tmp_path: Path) -> None:
    assert frames(video(tmp_path / "a.mp4", "2/1", size="160x120"))[0].shape == (120, 320, 3)


def test_a_turned_frame_is_turned_after_its_pixels_are_made_square(tmp_path: Path) -> None:
    path = set_matrix(video(tmp_path / "a.mp4", "64/45"), UPRIGHT_MATRICES["90"])
    pixels = frames(path)[0]
    assert pixels.shape == (455, 256, 3)
    filters = "select=eq(n\\,12),scale=iw*sar:ih,setsar=1,scale=256:455"
    raw = ffmpeg("-i", path, "-vf", filters, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    assert np.abs(pixels.astype(int) - np.frombuffer(raw, np.uint8).reshape(pixels.shape)).mean() < 4
