"""Test hardware decoders: the messages where there is no GPU, and equal frames where there is one."""

from pathlib import Path

import numpy as np
import pytest

import avscene
from avscene.errors import MediaError, UsageError
from avscene.media.hardware import check_decoder
from avscene.media.sampling import CPU, Sampling
from avscene.media.segments import Recording
from tests.support.command_line import run
from tests.support.media_files import write_media

SAMPLING = Sampling(frame_size=120)


def is_available(decoder: str) -> bool:
    try:
        check_decoder(decoder)
    except UsageError:
        return False
    return True


without_gpu = pytest.mark.skipif(is_available("cuda"), reason="there is a GPU that decodes")
with_gpu = pytest.mark.skipif(not is_available("cuda"), reason="there is no GPU that decodes")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_media(tmp_path / "video.mp4", 3.0, size=(320, 240))


def decoded_frames(path: Path, decoder: str) -> tuple[list[np.ndarray], tuple[str, ...]]:
    with Recording(path, decoder=decoder) as recording:
        frames = [frame.pixels for segment in recording.segments(SAMPLING) for frame in segment.frames]
        return frames, recording.warnings


def test_an_unknown_decoder_is_refused_with_the_supported_ones(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = run(capsys, "classify", video, "--decoder", "steam").error()
    assert message.startswith("decoder 'steam' is not one of cpu")
    with pytest.raises(UsageError, match="steam"):
        avscene.load("conse").classify(video, decoder="steam")


@without_gpu
def test_an_absent_device_is_refused_before_any_file_is_read(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = run(capsys, "classify", video, "--decoder", "cuda").error()
    assert message.startswith("decoder cuda: no such device can be opened here") or "is not one of cpu" in message


@without_gpu
def test_a_device_that_fails_to_open_is_not_reported_as_a_damaged_file(video: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"video\.mp4: the device cannot be opened .*; try: --decoder cpu"):
        Recording(video, decoder="cuda")
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(video.read_bytes()[:500])
    with pytest.raises(MediaError) as on_cpu:
        Recording(broken)
    with pytest.raises(MediaError) as on_device:
        Recording(broken, decoder="cuda")
    assert str(on_device.value) == str(on_cpu.value)


def test_a_video_that_the_device_cannot_decode_is_decoded_on_the_cpu_with_a_warning(video: Path) -> None:
    expected, no_warnings = decoded_frames(video, CPU)
    frames, warnings = decoded_frames(video, "drm")  # drm decodes no H.264, so no device is opened
    assert no_warnings == ()
    assert warnings == ("drm cannot decode this video; it was decoded on the CPU",)
    np.testing.assert_array_equal(frames, expected)


@with_gpu
def test_a_device_decodes_the_same_frames_as_the_cpu(video: Path) -> None:
    expected, _ = decoded_frames(video, CPU)
    frames, warnings = decoded_frames(video, "cuda")
    assert warnings == ()
    assert len(frames) == len(expected) == 3
    assert np.abs(np.subtract(frames, expected, dtype=float)).mean() < 1  # levels of 255
