"""Test that keyframes are taken by their times, whatever decodes them and in whatever container they come."""

from pathlib import Path

import numpy as np
import pytest

from avscene.media.sampling import Sampling
from avscene.media.segments import Recording
from tests.support.ffmpeg_program import ffmpeg, ffmpeg_frames

FPS, GOP, SECONDS, WIDTH, HEIGHT = 10, 8, 12, 96, 64
SAMPLING = Sampling(frame_size=HEIGHT, keyframes_only=True)
X264 = ("-c:v", "libx264", "-preset", "veryfast")
VIDEOS = {
    "closed.mp4": (*X264, "-x264-params", f"keyint={GOP}:min-keyint={GOP}:scenecut=0"),
    "open.ts": (*X264, "-x264-params", f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop=1:bframes=3"),
    "open.mkv": (*X264, "-x264-params", f"keyint={GOP}:min-keyint={GOP}:scenecut=0:open-gop=1:bframes=3"),
    "vp9.webm": ("-c:v", "libvpx-vp9", "-g", GOP, "-deadline", "realtime", "-cpu-used", "8"),
    "raw.h264": (*X264, "-x264-params", f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=2"),
}


@pytest.fixture(params=VIDEOS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS}:duration={SECONDS}"
    path = tmp_path / request.param
    ffmpeg("-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", *map(str, VIDEOS[request.param]), path)
    return path


def read(path: Path, sampling: Sampling = SAMPLING) -> tuple[list[np.ndarray], tuple[str, ...]]:
    with Recording(path) as recording:
        return [segment.frames[0].pixels for segment in recording.segments(sampling)], recording.warnings


def test_each_segment_shows_the_nearest_keyframe(path):
    frames, warnings = read(path)
    decoded = ffmpeg_frames(path, WIDTH, HEIGHT)
    times = np.arange(0, FPS * SECONDS, GOP) / FPS
    targets = np.arange(SECONDS) + 0.5
    nearest = [int(np.abs(times - target).argmin()) * GOP for target in targets]
    assert len(frames) == SECONDS
    assert warnings == ()
    for frame, number in zip(frames, nearest, strict=True):
        errors = np.abs(decoded.astype(int) - frame).mean(axis=(1, 2, 3))
        assert errors.argmin() == number


@pytest.mark.parametrize("per_segment", [1, 2, 5])
def test_the_keyframe_does_not_depend_on_how_many_are_needed(tmp_path, per_segment):
    """With many targets every keyframe is decoded, with few those that are nearest to one."""
    path = tmp_path / "a.mp4"
    source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS}:duration={SECONDS}"
    ffmpeg("-f", "lavfi", "-i", source, *X264, "-g", 2, path)
    sampling = Sampling(frame_size=HEIGHT, keyframes_only=True, frames_per_segment=per_segment)
    with Recording(path) as recording:
        times = [frame.time for segment in recording.segments(sampling) for frame in segment.frames]
    targets = (np.arange(SECONDS * per_segment) + 0.5) / per_segment
    assert np.abs(np.array(times) - targets).max() <= 0.1 + 1e-6  # half the distance of the keyframes


def test_rare_keyframes_are_noted(tmp_path):
    path = tmp_path / "a.mp4"
    source = f"testsrc2=size={WIDTH}x{HEIGHT}:rate=5:duration=30"
    ffmpeg("-f", "lavfi", "-i", source, *X264, "-x264-params", "keyint=1000:scenecut=0", path)
    frames, warnings = read(path)
    assert len(frames) == 30
    assert all("keyframes are rare: segments show frames up to 30 s away" in warning for warning in warnings)
    assert len(warnings) == 1
